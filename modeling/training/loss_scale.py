"""Dynamic loss scaling: gradients of float16 layers, kept out of the range where float16 is zero."""

import functools
from collections.abc import Sequence
from typing import final

import tensorflow as tf

from modeling.training.accumulation import Gradient

INITIAL_SCALE = 2.0**15
GROWTH_PERIOD = 2000
"""Updates in a row that must go well before the scale doubles."""
NAMES = ("loss_scale", "loss_scale_good_steps")
"""Variables that keep the state in a checkpoint."""


@final
class LossScale:
    """A factor on the loss that halves when gradients overflow and doubles after a while without.

    The loss is multiplied by it before gradients are computed, and the gradients are divided by it before anything
    looks at them. Where they are not finite, the update is left out: neither weights nor slots move. The scale never
    falls below 1.

    Source: arXiv:1710.03740, section 3.2; the numbers are those of TensorFlow's `DynamicLossScale`.
    """

    def __init__(self) -> None:
        self._scale = _variable(NAMES[0], tf.float32, INITIAL_SCALE)
        self._good_steps = _variable(NAMES[1], tf.int64, 0)
        # Read once, before anything can change it: the same number scales and unscales.
        self.value = tf.identity(self._scale)
        self.is_finite: tf.Tensor | None = None

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss to compute gradients of."""
        return loss * self.value

    def unscaled(self, gradients: Sequence[Gradient | None]) -> list[Gradient | None]:
        """Gradients of the loss itself from those of the scaled one."""
        return [None if one is None else times(one, 1.0 / self.value) for one in gradients]

    def apply(
        self,
        optimizer: tf.compat.v1.train.Optimizer,
        gradients: Sequence[Gradient | None],
        variables: Sequence[tf.Variable],
        global_step: tf.Variable,
    ) -> tf.Operation:
        """One update if the gradients are finite; then the scale of the next, and one more step in any case.

        A batch that is left out counts as a step, so that the step still says how far the run has come in its data
        and on its learning-rate curve.

        Args:
          optimizer: makes the update.
          gradients: clipped, float32; the same on all replicas.
          variables: theirs.
          global_step: is incremented.
        """
        # Clipping makes all of them NaN where their norm is not finite.
        present = [gradient for gradient in gradients if gradient is not None]
        self.is_finite = tf.math.is_finite(tf.linalg.global_norm(present))
        updated = apply_if_finite(optimizer, gradients, variables, self.is_finite)
        with tf.control_dependencies([updated]):
            return tf.group(*self._adjust(self.is_finite), global_step.assign_add(1, read_value=False))

    def _adjust(self, is_finite: tf.Tensor) -> list[tf.Operation]:
        good_steps = tf.where(is_finite, self._good_steps + 1, tf.zeros([], tf.int64))
        is_due = good_steps >= GROWTH_PERIOD
        grown = tf.where(is_due, self.value * 2.0, self.value)
        # A scale that is no number any more could not shrink again.
        grown = tf.where(tf.math.is_finite(grown), grown, self.value)
        scale = tf.where(is_finite, grown, tf.maximum(self.value / 2.0, 1.0))
        return [
            self._scale.assign(scale, read_value=False),
            self._good_steps.assign(tf.where(is_due, tf.zeros_like(good_steps), good_steps), read_value=False),
        ]


def times(gradient: Gradient, factor: float | tf.Tensor) -> Gradient:
    """A dense or sparse gradient, scaled."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values * factor, gradient.indices, gradient.dense_shape)
    return gradient * factor


def apply_if_finite(
    optimizer: tf.compat.v1.train.Optimizer,
    gradients: Sequence[Gradient | None],
    variables: Sequence[tf.Variable],
    is_finite: tf.Tensor,
) -> tf.Operation:
    """An update that is left out where it is not finite: neither weights nor slots move.

    Args:
      optimizer: makes the update.
      gradients: clipped; the same on all replicas.
      variables: theirs.
      is_finite: scalar, the same on all replicas.
    """
    present = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
    replica = tf.distribute.get_replica_context()
    return replica.merge_call(functools.partial(_update_if, optimizer), args=(is_finite, present))


def _update_if(
    optimizer: tf.compat.v1.train.Optimizer,
    strategy: tf.distribute.Strategy,
    is_finite: tf.Tensor,
    pairs: Sequence[tuple[Gradient, tf.Variable]],
) -> tf.Operation:
    """The update under a condition, which replicas cannot make one by one: an update is an affair of all of them."""

    def update() -> tf.Operation:
        return strategy.group(strategy.extended.call_for_each_replica(optimizer.apply_gradients, args=(pairs,)))

    return tf.cond(strategy.experimental_local_results(is_finite)[0], update, tf.no_op)


def _variable(name: str, dtype: tf.DType, value: float) -> tf.Variable:
    return tf.compat.v1.get_variable(
        name,
        [],
        dtype,
        tf.compat.v1.constant_initializer(value),
        trainable=False,
        # Replicas compute the same value.
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
