"""Checkpoints while a model trains: when they are saved, and what a signal to stop leaves behind."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from common.checkpoints import BASENAME, checkpoint_name, latest_checkpoint, record_checkpoint
from common.files import without_pattern
from common.interruption import Interruption
from common.paths import path_of

v1 = tf.compat.v1
SessionRunHook: Any = v1.train.SessionRunHook


@dataclasses.dataclass(frozen=True)
class Saving:
    """Where and when checkpoints are saved.

    Args:
      folder: of the run.
      every: steps between two checkpoints: they are saved at its multiples, and at the end of training.
      keep: most checkpoints that are kept; 0 for all.
    """

    folder: Path
    every: int
    keep: int


class CheckpointHook(SessionRunHook):
    """Saves the state of training at fixed steps, at its end, and where a signal asks to stop.

    It takes the place of TensorFlow's own hook, which writes the checkpoint that it has just read once more in place,
    counts steps from there, and looks for files by patterns.

    Args:
      saving: where and when.
      interruption: signals, which wait for the end of a step while this hook is in charge.
      evaluate: called with the step of each checkpoint but the first and that of a signal; says whether to stop.
    """

    def __init__(
        self, saving: Saving, interruption: Interruption, evaluate: Callable[[int], bool] | None = None
    ) -> None:
        self._saving = saving
        self._interruption = interruption
        self._evaluate = evaluate
        self._saved = -1

    def begin(self) -> None:
        """Finds the step in the graph that is about to run."""
        self._global_step = v1.train.get_global_step()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Saves the state that training begins with, unless it was read from a checkpoint just now."""
        del coord
        graph = v1.get_default_graph()
        self._saver = v1.get_collection(v1.GraphKeys.SAVERS)[0]
        v1.summary.FileWriterCache.get(without_pattern(self._saving.folder)).add_graph(graph)
        self._saved = step = int(session.run(self._global_step))
        latest = latest_checkpoint(self._saving.folder)
        if latest is None or latest.name != checkpoint_name(step):
            self._save(session, step)
        self._interruption.is_deferred = True

    def before_run(self, run_context: Any) -> Any:
        """Asks for the step."""
        del run_context
        return v1.train.SessionRunArgs(self._global_step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Saves a checkpoint where one is due.

        Raises:
          KeyboardInterrupt: a signal asked to stop; the checkpoint is saved.
        """
        session = run_context.session
        if self._interruption.is_requested():
            step = int(session.run(self._global_step))
            if step != self._saved:
                self._save(session, step)
            self._interruption.check()
        # The value may be that before the update or after it: the exact one is asked for only near a checkpoint.
        about = int(run_values.results)
        if about % self._saving.every not in (0, self._saving.every - 1):
            return
        step = int(session.run(self._global_step))
        if step % self._saving.every == 0 and step != self._saved and self._save_and_evaluate(session, step):
            run_context.request_stop()

    def end(self, session: Any) -> None:
        """Saves the last state."""
        step = int(session.run(self._global_step))
        if step != self._saved:
            self._save_and_evaluate(session, step)

    def _save_and_evaluate(self, session: Any, step: int) -> bool:
        self._save(session, step)
        if self._evaluate is None:
            return False
        with self._interruption.at_once():  # an evaluation can take longer than a scheduler waits
            return self._evaluate(step)

    def _save(self, session: Any, step: int) -> None:
        prefix = str(path_of(without_pattern(self._saving.folder)) / BASENAME)
        self._saver.save(session, prefix, global_step=step, write_meta_graph=False, write_state=False)
        record_checkpoint(self._saving.folder, checkpoint_name(step), self._saving.keep)
        self._saved = step
