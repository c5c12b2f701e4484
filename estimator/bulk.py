"""Prediction by an Apache Beam pipeline: the outputs of `Estimator.predict`, on as many machines as the runner has.

The process that starts the pipeline converts the examples and exports the checkpoint into a folder beside the records.
The pipeline has one element for each part of the records: a worker loads the export, answers the records of its part by
the signature `examples`, and writes a file, whole or absent. The process that started it then reads the files in their
order and writes the answers as without Beam.

Files are opened by their paths: every worker has to see the output folder under the same path.
"""

import contextlib
import dataclasses
import functools
import logging
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common.errors import DataError
from common.files import atomic_path, without_pattern
from processors.beam import open_pipeline, run_each

log = logging.getLogger(__name__)

v1 = tf.compat.v1

PART_RECORDS = 1024
"""Records that a worker answers together; it loads the model once for all of its parts."""


@dataclasses.dataclass(frozen=True)
class Runner:
    """Where a pipeline runs.

    Args:
      name: of a Beam runner, or its class as `module.Class`.
      options: flags for Beam's `PipelineOptions`, as on a command line.
    """

    name: str
    options: str = ""


class PartAnswerer:
    """Answers a part of the records and writes the outputs. Can be pickled: a pipeline sends it to its workers.

    Args:
      export_dir: has the signature `examples`.
      records: file of serialized examples.
      batch_size: most records a batch.
      folder: for the outputs.
    """

    def __init__(self, export_dir: Path, records: Path, batch_size: int, folder: Path) -> None:
        self._export_dir = export_dir
        self._records = records
        self._batch_size = batch_size
        self._folder = folder

    def path(self, part: int) -> Path:
        """The file of a part's outputs."""
        return self._folder / f"outputs-{part:06d}.npz"

    def __call__(self, part: int) -> int:
        """Answers records `part * PART_RECORDS` and so on; gives the part.

        Raises:
          DataError: the records or the export cannot be read here.
        """
        try:
            records = _records(self._records, part * PART_RECORDS, PART_RECORDS)
            answer = _loaded(str(self._export_dir))
        except (OSError, tf.errors.OpError) as error:
            raise DataError(
                f"{self._folder.parent}: cannot be read by a worker ({type(error).__name__}); all workers must see "
                "--output_dir under the same path: put it on a file system that is shared"
            ) from None
        arrays = {}
        for number, start in enumerate(range(0, len(records), self._batch_size)):
            for name, values in answer(records[start : start + self._batch_size]).items():
                arrays[f"{number:06d}/{name}"] = values
        with atomic_path(self.path(part)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
        return part

    def outputs(self, part: int) -> Iterator[dict[str, np.ndarray]]:
        """The outputs of each record of a part, in order."""
        batches: dict[str, dict[str, np.ndarray]] = {}
        with np.load(self.path(part)) as arrays:
            for key in arrays.files:
                number, _, name = key.partition("/")
                batches.setdefault(number, {})[name] = arrays[key]
        for batch in batches.values():
            for values in zip(*batch.values(), strict=True):
                yield dict(zip(batch, values, strict=True))


def _records(path: Path, start: int, count: int) -> list[bytes]:
    with tf.Graph().as_default(), v1.Session() as session:
        dataset = tf.data.TFRecordDataset(str(path)).skip(start).take(count)
        record = v1.data.make_one_shot_iterator(dataset).get_next()
        found = []
        with contextlib.suppress(tf.errors.OutOfRangeError):
            while True:
                found.append(session.run(record))
    return found


@functools.lru_cache(maxsize=1)
def _loaded(export_dir: str) -> Any:
    """Calls the signature `examples` of an export; loaded once in a process."""
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        tags = [v1.saved_model.tag_constants.SERVING]
        loaded = v1.saved_model.loader.load(session, tags, without_pattern(Path(export_dir)))
    signature = loaded.signature_def["examples"]
    names = {name: end.name for name, end in signature.outputs.items()}
    given = signature.inputs["examples"].name
    return lambda records: session.run(names, {given: records})


def answers(
    runner: Runner, export_dir: Path, records: Path, num_records: int, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Outputs of every record, in order, computed by a pipeline.

    Args:
      runner: where it runs.
      export_dir: of the model that answers.
      records: file of serialized examples.
      num_records: how many it has.
      batch_size: most records a batch.

    Raises:
      FlagError: as `open_pipeline`.
      DataError: a worker cannot read what it needs, or its file is not seen here.
    """
    pipeline = open_pipeline(runner.name, runner.options)
    # Workers start in other folders than we do.
    with temporary_folder(records.parent.absolute(), "predict.parts") as folder:
        answerer = PartAnswerer(export_dir.absolute(), records.absolute(), batch_size, folder)
        parts = range(math.ceil(num_records / PART_RECORDS))
        log.info("%d records in %d parts on %s", num_records, len(parts), runner.name)
        state = run_each(pipeline, runner.name, list(parts), answerer, "no answer was written")
        absent = next((part for part in parts if not answerer.path(part).is_file()), None)
        if absent is not None:
            raise DataError(
                f"{answerer.path(absent)}: --runner={runner.name} has ended as {state}, but the file is not here; all "
                "workers must see --output_dir under the same path: put it on a file system that is shared"
            )
        for part in parts:
            yield from answerer.outputs(part)


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder for a block; where the process is killed, the next one in the output directory removes it."""
    folder = parent / f"{name}.tmp-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
