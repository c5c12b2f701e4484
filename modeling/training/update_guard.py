"""Whether an update is made of numbers: what is reported of it, and updates that are left out."""

from collections.abc import Sequence

import tensorflow as tf

from modeling.training import replicas
from modeling.training.accumulation import Gradient
from modeling.training.loss_scale import apply_if_finite


class UpdateGuard:
    """Watches the loss and the gradients of each update.

    Args:
      skips: whether an update that is not finite is left out: neither weights nor slots move, and the step counts. Else
        it is made, and whoever reads the loss and the norm stops.

    Attributes:
      norm: of the gradients of the whole batch before they are clipped.
      is_finite: whether the update is; None where none is left out.
    """

    def __init__(self, skips: bool) -> None:
        self.skips = skips
        self.norm: tf.Tensor | None = None
        self.is_finite: tf.Tensor | None = None

    def watch(self, loss: tf.Tensor, norm: tf.Tensor) -> None:
        """Notes what an update is made of.

        Args:
          loss: scalar, of this replica.
          norm: scalar, the same on all replicas.
        """
        self.norm = norm
        if self.skips:
            (whole,) = replicas.mean({"loss": loss}).values()
            self.is_finite = tf.math.is_finite(norm) & tf.math.is_finite(whole)

    def apply(
        self,
        optimizer: tf.compat.v1.train.Optimizer,
        gradients: Sequence[Gradient | None],
        variables: Sequence[tf.Variable],
        global_step: tf.Variable,
    ) -> tf.Operation:
        """One update if it is finite, and one more step in any case.

        Args:
          optimizer: makes the update.
          gradients: clipped; the same on all replicas.
          variables: theirs.
          global_step: is incremented.
        """
        updated = apply_if_finite(optimizer, gradients, variables, self.is_finite)
        with tf.control_dependencies([updated]):
            return global_step.assign_add(1, read_value=False)
