"""The checkpoints of a run directory: where training goes on, and which one answers."""

import logging
from pathlib import Path

from common.checkpoints import LatestCheckpoint, drop_surplus, latest_checkpoint, settle_checkpoint
from common.errors import CheckpointError
from estimator.hooks.periodic_evaluation import best_checkpoint
from modeling.checkpoints.restore import read_tensor, verify_checkpoint
from modeling.checkpoints.sources import readable_prefix

log = logging.getLogger(__name__)


class RunCheckpoints:
    """Finds and verifies the checkpoints of a run. Prefixes are such that TensorFlow can read them.

    Args:
      folder: of the run.
      keeps_best: whether the run keeps its best checkpoint, which then answers in place of the latest.
    """

    def __init__(self, folder: Path, keeps_best: bool) -> None:
        self._folder = folder
        self._keeps_best = keeps_best
        self._damaged: dict[str, str] = {}

    def latest(self) -> str | None:
        """Prefix of the latest checkpoint; None where there is none.

        Raises:
          CheckpointError: there have been trained checkpoints, but none that is whole.
        """
        found = self._latest()
        return readable_prefix(found.prefix) if found else None

    def answering(self) -> str | None:
        """Prefix of what evaluates, predicts and exports: the best checkpoint where the run keeps it, else the latest.

        Raises:
          CheckpointError: as `latest`.
        """
        best = best_checkpoint(self._folder) if self._keeps_best else None
        if best is None:
            return self.latest()
        log.info("using the best checkpoint, %s", best)
        return readable_prefix(best)

    def global_step(self) -> int:
        """Optimizer updates behind the latest checkpoint; 0 without one.

        Raises:
          CheckpointError: it is damaged.
        """
        latest = self.latest()
        return int(read_tensor(latest, "global_step")) if latest else 0

    def verify(self) -> str | None:
        """Reads every value of the latest checkpoint; one that is damaged gives way to the one before it.

        Returns:
          As `latest`, which gives the same from now on.

        Raises:
          CheckpointError: no trained checkpoint is whole.
        """
        while (found := self._latest()) is not None:
            try:
                verify_checkpoint(found.prefix)
            except CheckpointError as error:
                self._damaged[found.name] = str(error)
                continue
            if found.contradiction:
                log.warning("%s", found.contradiction)
            break
        return self.latest()

    def settle(self) -> None:
        """Makes the file `checkpoint` say what `latest` says, so that training goes on from there.

        Raises:
          DataError: the disk is full.
        """
        found = self._latest()
        if found is not None:
            settle_checkpoint(self._folder, found)
        self._damaged.clear()  # training writes these anew

    def drop_surplus(self, keep: int) -> None:
        """Removes the oldest checkpoints beyond `keep` of a run that has ended, where all is as its file says.

        Raises:
          DataError: a file cannot be written or removed.
        """
        found = self._latest()
        if found is None or found.contradiction or self._damaged:
            return
        for name in drop_surplus(self._folder, keep):
            log.info("removed %s: --keep_checkpoint_max=%d", self._folder / name, keep)

    def _latest(self) -> LatestCheckpoint | None:
        return latest_checkpoint(self._folder, self._damaged)
