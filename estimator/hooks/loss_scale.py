"""What float16 needs around its graph: a watch on skipped updates, and checkpoints with and without a loss scale."""

import logging
from typing import Any

import tensorflow as tf

from common.errors import BertError
from modeling.training.loss_scale import NAMES, LossScale

log = logging.getLogger(__name__)

v1 = tf.compat.v1
SessionRunHook: Any = v1.train.SessionRunHook
Saver: Any = v1.train.Saver


class LossScaleHook(SessionRunHook):
    """Says when an update is skipped, and stops a run in which no scale helps any more.

    Args:
      loss_scale: of the graph that is trained, with its update made.
    """

    def __init__(self, loss_scale: LossScale) -> None:
        self._fetches = [loss_scale.value, loss_scale.is_finite]

    def before_run(self, run_context: Any) -> Any:
        """Asks for the scale of this step, and whether it served."""
        del run_context
        return v1.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Reports an overflow.

        Raises:
          BertError: gradients are not finite although the scale is 1.
        """
        del run_context
        scale, is_finite = run_values.results
        if is_finite:
            return
        if scale <= 1.0:
            raise BertError(
                "training: gradients overflow float16 even without a loss scale; expected finite ones; "
                "use --precision=bf16, or lower --learning_rate"
            )
        log.info("gradients overflowed float16: update skipped, loss scale halved to %g", max(scale / 2.0, 1.0))


class ScaleSaver(Saver):
    """A saver that also restores checkpoints without a loss scale, which then begins as in a new run.

    Args:
      keep_checkpoint_max: checkpoints kept; None keeps all.
    """

    def __init__(self, keep_checkpoint_max: int | None) -> None:
        # As the Estimator makes its own; the variables are looked up in `build`, when all of them are there.
        super().__init__(sharded=True, max_to_keep=keep_checkpoint_max, defer_build=True, save_relative_paths=True)
        self._without: Any = None
        self._begin: Any = None

    def build(self) -> None:
        """Makes the operations, once the graph has all its variables."""
        if not self._is_built:
            variables = v1.global_variables()
            self._without = Saver([variable for variable in variables if variable.op.name not in NAMES])
            self._begin = v1.variables_initializer([variable for variable in variables if variable.op.name in NAMES])
            v1.add_to_collection(v1.GraphKeys.SAVERS, self)  # where the hook that saves looks
        super().build()

    def restore(self, sess: Any, save_path: str) -> None:
        """Restores what the checkpoint has."""
        held = tf.compat.v1.train.NewCheckpointReader(save_path).get_variable_to_shape_map()
        if all(name in held for name in NAMES):
            super().restore(sess, save_path)
        else:
            self._without.restore(sess, save_path)
            sess.run(self._begin)
