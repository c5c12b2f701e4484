"""Pretraining records by an Apache Beam pipeline: `pretraining_data.stream` on as many machines as the runner has.

The process that starts the pipeline reads the corpus once, to check it and to find where the text of each shard begins.
The pipeline has one element for each shard: a worker reads that text and writes the file, whole or absent, as `stream`
does. So shards are the same to the byte as without Beam, memory does not grow with the corpus, nothing but names and
numbers travels between machines, and the shards of an interrupted run are kept.

Files are opened by their paths: every worker has to see the corpus and the output folder under the same paths.
"""

import dataclasses
import logging
from typing import Any

from common.errors import DataError
from processors.beam import open_pipeline, run_each
from processors.pretraining.pretraining_data import PretrainingData
from processors.pretraining.shards import BlockMaker, Shard, Survey, finished, write_shard

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
    pipeline = open_pipeline(runner, beam_options)
    # Workers start in other folders than we do.
    files, outputs = ([path.absolute() for path in paths] for paths in (data.files, data.outputs))
    data = dataclasses.replace(data, files=files, outputs=outputs)
    survey = Survey(data)
    done = {shard: finished(shard) for shard in survey.shards}
    missing = [shard for shard, result in done.items() if result is None]
    log.info("%d of %d shards to make on %s", len(missing), len(done), runner)
    if len(done) == 1:
        log.warning("one shard, which one worker makes; give --num_shards to share the work out")
    kept = "finished shards are kept"
    state = run_each(pipeline, runner, missing, ShardMaker(data), kept) if missing else None
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
