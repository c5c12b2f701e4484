"""Pretraining records by an Apache Beam pipeline: `pretraining_data.stream` on as many machines as the runner has.

The process that starts the pipeline reads the corpus once, to check it and to find where the text of each shard begins.
The pipeline has one element for each shard: a worker reads that text and writes the file, whole or absent, as `stream`
does. So shards are the same to the byte as without Beam, memory does not grow with the corpus, nothing but names and
numbers travels between machines, and the shards of an interrupted run are kept.

Files are opened by their paths: every worker has to see the corpus and the output folder under the same paths.
"""

import contextlib
import dataclasses
import io
import logging
import re
import shlex
import warnings
from collections.abc import Sequence
from typing import Any

from common.errors import DataError, FlagError, closest, one_line
from processors.pretraining.shards import BlockMaker, PretrainingData, Shard, Survey, finished, write_shard

_OUR_ERROR = re.compile(r"^common\.errors\.\w+Error: (.+)", re.MULTILINE)
"""The last line of a traceback, as a worker in another process sends it."""
_LOG_LEVELS = {
    "apache_beam": logging.WARNING,
    # What a job that runs elsewhere is doing.
    "apache_beam.runners.dataflow": logging.INFO,
    "apache_beam.runners.portability.portable_runner": logging.INFO,
    # Workers log the tracebacks of errors that arrive as exceptions, too.
    "apache_beam.runners.common": logging.CRITICAL,
    "apache_beam.runners.portability.local_job_service": logging.CRITICAL,
    "apache_beam.runners.worker": logging.CRITICAL,
}

log = logging.getLogger(__name__)


def run(data: PretrainingData, runner: str, beam_options: str = "") -> dict[str, Any]:
    """Writes the shards that `pretraining_data.stream` writes; those that are there are kept.

    Args:
      data: corpus, outputs, settings.
      runner: name of a Beam runner, or its class as `module.Class`.
      beam_options: flags for Beam's `PipelineOptions`, as on a command line.

    Returns:
      The report, which is written beside the output, too.

    Raises:
      FlagError: Beam is not installed, does not know the runner or an option's value, or more shards than blocks.
      DataError: as `stream`; or a shard that the workers have written cannot be seen from here.
    """
    pipeline = _pipeline(runner, beam_options)
    # Workers start in other folders than we do.
    files, outputs = ([path.absolute() for path in paths] for paths in (data.files, data.outputs))
    data = dataclasses.replace(data, files=files, outputs=outputs)
    survey = Survey(data)
    done = {shard: finished(shard) for shard in survey.shards}
    missing = [shard for shard, result in done.items() if result is None]
    log.info("%d of %d shards to make on %s", len(missing), len(done), runner)
    if len(done) == 1:
        log.warning("one shard, which one worker makes; give --num_shards to share the work out")
    state = _run(pipeline, data, missing, runner) if missing else None
    done |= {shard: finished(shard) for shard in missing}
    for shard, result in done.items():
        if result is None:
            raise DataError(
                f"{shard.path}: --runner={runner} has ended as {state}, but the shard is not here; all workers must "
                "see --input_file and --output_file under the same paths: put them on a file system that is shared"
            )
    return survey.report([result for result in done.values() if result is not None])


class ShardMaker:
    """Writes the file of a shard. Can be pickled: a pipeline sends it to its workers.

    Args:
      data: corpus, outputs, settings.
    """

    def __init__(self, data: PretrainingData) -> None:
        self._data = data

    def __call__(self, shard: Shard) -> int:
        """Writes a shard and its manifest, one block in memory at a time; gives the number of its records.

        Raises:
          DataError: the corpus cannot be read, or the shard not be written.
        """
        count, _ = write_shard(self._data, shard, map(BlockMaker(self._data), shard.blocks(self._data)))
        return count


def _pipeline(runner: str, beam_options: str) -> Any:
    """An empty pipeline for a runner, before anything is read."""
    beam = _load_beam(runner)
    options = _options(runner, beam_options)
    from apache_beam.options.pipeline_options import StandardOptions

    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        if "Unexpected pipeline runner" not in str(error):
            raise FlagError(
                f"--runner={runner}: Beam cannot start it ({one_line(error)}); give what is missing in --beam_options"
            ) from None
        names = closest(runner, StandardOptions.KNOWN_RUNNER_NAMES)
        raise FlagError(
            f"--runner={runner}: Beam has no such runner; {names}; another one is given as module.Class"
        ) from None
    except (ImportError, AttributeError) as error:
        raise FlagError(
            f"--runner={runner}: cannot be imported ({one_line(error, 120)}); install it, or check its name"
        ) from None


def _load_beam(runner: str) -> Any:
    # At its import it warns of those parts of itself that are not installed.
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            import apache_beam
    except ImportError as error:
        raise FlagError(
            f"--runner={runner} needs Apache Beam, which cannot be imported ({one_line(error, 100)}); "
            "pip install apache-beam, or leave --runner out: this machine's processes do without"
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    for name, level in _LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    return apache_beam


def _options(runner: str, beam_options: str) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    said = io.StringIO()  # Beam's parser prints its usage and leaves
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions([*shlex.split(beam_options), f"--runner={runner}"])
            options.get_all_options()
    except (ValueError, SystemExit) as error:
        reason = (said.getvalue().strip().splitlines() or [str(error)])[-1].partition("error: ")
        raise FlagError(
            f"--beam_options={beam_options}: Beam cannot read it ({one_line(reason[2] or reason[0])}); "
            "expected flags of Beam, as in --beam_options='--direct_num_workers=4 --job_name=corpus'"
        ) from None
    return options


def _run(pipeline: Any, data: PretrainingData, shards: Sequence[Shard], runner: str) -> str:
    """Makes the shards; gives the state that the job ended in."""
    import apache_beam as beam

    # Without the reshuffle a runner may make all of the shards on one worker.
    elements = pipeline | "Shards" >> beam.Create(shards) | "Spread" >> beam.Reshuffle()
    elements | "Write" >> beam.Map(ShardMaker(data))
    try:
        return str(pipeline.run().wait_until_finish())
    except Exception as error:
        # In this process it comes as it is, from another one as the text of its traceback.
        lines = [str(error)] if isinstance(error, DataError) else _OUR_ERROR.findall(str(error))
        if not lines:
            raise
        line = lines[0].partition(" [while running ")[0]
        raise DataError(f"--runner={runner}: {line}; finished shards are kept") from error
