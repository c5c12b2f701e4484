"""Outputs of a wholly frozen encoder, computed once a row and kept beside the records.

    train.features            a vector after the other, then where each row's begin and how many they are
    train.features.json       what they were computed from, and the digest of the file

The file is written under a temporary name and renamed; its description follows. Without one, or with one that does not
match, the outputs are computed again.
"""

import dataclasses
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from common.errors import DataError, one_line
from common.files import atomic_path, json_object, write_atomically
from estimator import devices
from estimator.config import ExperimentSettings
from estimator.inputs import Inputs
from estimator.model_fn import GraphSettings, build_model_fn
from modeling.build import VECTORS
from modeling.checkpoints.bases import base_fingerprint
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Reader
from processors.records.length_order import ROW_INDEX
from processors.records.record_sets import RecordSet, file_digest
from tasks.base import Task

log = logging.getLogger(__name__)

BATCH_SIZE = 64
"""Rows that the encoder computes at once."""
_MIB = 1 << 20
_LENGTHS = "lengths"

Outputs = Callable[[], Iterator[Mapping[str, NDArray[Any]]]]
"""Gives `Outputs` of `FrozenOutputs` in batches, with the numbers of their rows."""


@final
class FrozenOutputs(Reader):
    """Reads off an encoder what a head reads.

    Args:
      uses_sequence_output: every token, and not one vector a row.
    """

    def __init__(self, uses_sequence_output: bool) -> None:
        self.uses_sequence_output = uses_sequence_output

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Vectors float32, `[B, S, D]` or `[B, 1, D]`."""
        del features, is_training
        return (
            encoder.get_sequence_output() if self.uses_sequence_output else encoder.get_pooled_output()[:, tf.newaxis]
        )

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`encoder_vectors`, and how many of them a row has."""
        ones = tf.ones_like(features["input_mask"][:, 0])
        lengths = tf.reduce_sum(features["input_mask"], axis=1) if self.uses_sequence_output else ones
        return {VECTORS: logits, _LENGTHS: lengths}


@final
class FeatureCache:
    """A finished file of outputs.

    Args:
      path: the file.
      described: its description.
    """

    name = VECTORS

    def __init__(self, path: Path, described: Mapping[str, Any]) -> None:
        count, width, rows = (int(described[key]) for key in ("vectors", "width", "rows"))
        self._is_sequence = bool(described["is_sequence"])
        self._vectors = np.memmap(path, described["dtype"], "r", 0, (count, width))
        self._places = np.fromfile(path, np.int64, 2 * rows, offset=self._vectors.nbytes).reshape(rows, 2)
        self.shape: tuple[int | None, ...] = (None, None, width) if self._is_sequence else (None, width)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of some rows, float32 `[B, D]`, or `[B, S, D]` with zeros behind each row's last."""
        places = self._places[rows]
        if not self._is_sequence:
            return np.asarray(self._vectors[places[:, 0]], np.float32)
        found = np.zeros((len(rows), int(places[:, 1].max()), self._vectors.shape[1]), np.float32)
        for index, (start, length) in enumerate(places):
            found[index, :length] = self._vectors[start : start + length]
        return found


def built(
    record_set: RecordSet, dtype: str, made_of: Mapping[str, Any], is_sequence: bool, width: int, outputs: Outputs
) -> FeatureCache:
    """The outputs for a record set, computed only where equal ones are not there.

    Args:
      record_set: the rows.
      dtype: `float32` or `float16`.
      made_of: whatever decides the outputs besides the records, as plain JSON.
      is_sequence: every token is kept, and not one vector a row.
      width: of a vector.
      outputs: computes them.

    Raises:
      DataError: the disk has no room.
    """
    path = record_set.path.with_suffix(".features")
    wanted = {**made_of, "records": file_digest(record_set.path), "dtype": dtype, "is_sequence": is_sequence}
    described = _described(path, wanted)
    if described is not None:
        log.info("reusing the encoder's outputs in %s", path)
        return FeatureCache(path, described)
    count = _tokens(record_set) if is_sequence else record_set.num_records
    size = count * width * np.dtype(dtype).itemsize + record_set.num_records * 16
    free = shutil.disk_usage(path.parent).free
    what = f"{count:,} vectors of {width} in {dtype}"
    if size > free:
        raise DataError(
            f"{path}: the encoder's outputs need {size / _MIB:,.0f} MiB ({what}), and {free / _MIB:,.0f} MiB are free; "
            "free disk space, or give --cache_features=float16"
        )
    log.info("the encoder's outputs will take %.1f MiB in %s: %s", size / _MIB, path, what)
    started = time.monotonic()
    _manifest(path).unlink(missing_ok=True)
    try:
        with atomic_path(path) as temporary:
            _write(temporary, record_set.num_records, dtype, outputs)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({one_line(error)}); free disk space, then run again") from error
    described = {**wanted, "vectors": count, "width": width, "rows": record_set.num_records}
    described["sha256"] = file_digest(path)
    write_atomically(_manifest(path), json.dumps(described, indent=2, sort_keys=True) + "\n")
    seconds = max(time.monotonic() - started, 1e-9)
    log.info("computed them once for %d rows (%.0f rows/s)", record_set.num_records, record_set.num_records / seconds)
    return FeatureCache(path, described)


def of_run(task: Task, settings: ExperimentSettings, inputs: Inputs, record_set: RecordSet) -> FeatureCache | None:
    """What a run's wholly frozen encoder gives for each row; None where it does not keep it.

    Raises:
      DataError: as `built`.
    """
    model = settings.model
    if model.cached_as is None or model.init_checkpoint is None:
        return None
    reading = dataclasses.replace(model.reading, head_layers=1)
    is_sequence = task.head(is_training=False).uses_sequence_output
    made_of = {
        "base": base_fingerprint(model.init_checkpoint),
        "architecture": model.bert_config.to_dict(),
        "reading": str(reading),
        "precision": settings.devices.precision,
    }
    graph = GraphSettings(precision=settings.devices.precision)
    model = dataclasses.replace(model, reading=reading, cached_as=None)
    model_fn = build_model_fn(model, FrozenOutputs(is_sequence), graph=graph)

    def outputs() -> Iterator[Mapping[str, NDArray[Any]]]:
        input_fn = inputs.input_fn(record_set, BATCH_SIZE, sorts=True)
        # In a folder that has no checkpoint, so that the weights are those of the base.
        with tempfile.TemporaryDirectory(prefix="bert_features_") as folder:
            estimator = devices.build_estimator(model_fn, Path(folder), settings.training, settings.devices)
            yield from estimator.predict(input_fn, None, None, None, False)

    dtype, width = settings.model.cached_as or "", reading.width(model.bert_config, is_sequence)
    return built(record_set, dtype, made_of, is_sequence, width, outputs)


def _write(path: Path, rows: int, dtype: str, outputs: Outputs) -> None:
    places, count = np.zeros((rows, 2), np.int64), 0
    with path.open("wb") as stream:
        for batch in outputs():
            for row, vectors, length in zip(batch[ROW_INDEX], batch[VECTORS], batch[_LENGTHS], strict=True):
                stream.write(np.ascontiguousarray(vectors[:length], dtype).tobytes())
                places[row] = (count, length)
                count += int(length)
        stream.write(places.tobytes())


def _tokens(record_set: RecordSet) -> int:
    """Tokens of all rows, by their masks."""
    spec = {"input_mask": tf.io.FixedLenSequenceFeature([], tf.int64, True)}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        dataset = tf.data.TFRecordDataset([str(path) for path in record_set.files]).batch(1024)
        counts = dataset.map(lambda rows: tf.reduce_sum(tf.io.parse_example(rows, spec)["input_mask"]), 2)
        return int(session.run(counts.reduce(np.int64(0), lambda total, count: total + count)))


def _described(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The description of a file that is whole and was computed from this; None where there is none."""
    if not (path.is_file() and _manifest(path).is_file()):
        return None
    try:
        described = json_object(_manifest(path).read_bytes())
    except ValueError as error:
        log.warning("computing %s again: its description %s", path, error)
        return None
    if any(described.get(key) != value for key, value in wanted.items()):
        log.info("computing %s again: its rows, weights or settings have changed", path)
        return None
    if described.get("sha256") != file_digest(path):
        log.warning("computing %s again: its content does not match its description", path)
        return None
    return described


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + ".json")
