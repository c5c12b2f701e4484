"""Gradients of a large batch from several small ones, one after the other, in the memory of a small one."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from modeling.encoder.step_seeds import micro_batch

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices
Tensors = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Accumulated:
    """What the micro-batches of one update add up to.

    Args:
      loss_parts: scalars by name whose sum is the loss of the whole batch.
      gradients: dense, one for each variable; None where a variable has none.
      row_variables: indices of those that came as rows of a table.
      squares_of_rows: scalar, the sum of the squares of those rows before any two were added up. That is what they
        count in upstream's global norm.
    """

    loss_parts: Tensors
    gradients: list[tf.Tensor | None]
    row_variables: frozenset[int]
    squares_of_rows: tf.Tensor

    @property
    def loss(self) -> tf.Tensor:
        """Scalar loss of the whole batch."""
        return tf.add_n(list(self.loss_parts.values()))


def accumulate(
    loss_shares: Callable[[Tensors], Tensors],
    gradients_of: Callable[[tf.Tensor, Sequence[tf.Variable]], list[Gradient | None]],
    features: Tensors,
    micro_batches: int,
    trained: Callable[[], Sequence[tf.Variable]] = tf.compat.v1.trainable_variables,
) -> Accumulated:
    """Losses and gradients of a batch, computed on its parts one after the other.

    All of it happens within one run of the graph, so a step is still one update for everything that counts steps,
    and no variable holds what is unfinished.

    Args:
      loss_shares: what some rows contribute to the loss of the whole batch, by name; makes the variables.
      gradients_of: gradients of a scalar, in the order of the variables.
      features: tensors `[B, ...]`.
      micro_batches: number of parts, which divides B.
      trained: the variables that gradients are needed of, once they are made; all trainable ones by default.

    Returns:
      The sums over all parts.
    """
    parts = {name: _parts(tensor, micro_batches) for name, tensor in features.items()}

    def compute(index: int | tf.Tensor) -> tuple[Tensors, list[Gradient | None]]:
        with micro_batch(index):
            shares = loss_shares({name: part[index] for name, part in parts.items()})
        return shares, gradients_of(tf.add_n(list(shares.values())), trained())

    # The first part stands before the loop: it makes the variables, and what the loop adds to.
    shares, gradients = compute(0)
    pairs = zip(gradients, trained(), strict=True)
    sums = [_summed(gradient, variable) for gradient, variable in pairs if gradient is not None]
    rows = frozenset(index for index, gradient in enumerate(gradients) if isinstance(gradient, tf.IndexedSlices))

    def body(index: tf.Tensor, shares: Tensors, sums: list[tf.Tensor], squares: tf.Tensor) -> Any:
        with tf.compat.v1.variable_scope(tf.compat.v1.get_variable_scope(), reuse=True):
            more, gradients = compute(index)
        present = (gradient for gradient in gradients if gradient is not None)
        sums = [_added(total, gradient) for total, gradient in zip(sums, present, strict=True)]
        return index + 1, {name: shares[name] + more[name] for name in shares}, sums, squares + _squares(gradients)

    squares = _squares(gradients)
    # The loop must not start while the first part still fills the memory.
    with tf.control_dependencies([*sums, squares]):
        start = tf.constant(1) + 0
    _, shares, sums, squares = tf.while_loop(
        lambda index, *_: index < micro_batches, body, [start, shares, sums, squares], parallel_iterations=1
    )
    totals = iter(sums)
    return Accumulated(shares, [None if gradient is None else next(totals) for gradient in gradients], rows, squares)


def dense_sums(gradients: Sequence[Gradient | None], variables: Sequence[tf.Variable]) -> Accumulated:
    """Gradients of a whole batch as dense tensors, with what the rows of sparse ones count in the global norm.

    Args:
      gradients: in the order of the variables; None where a variable has none.
      variables: theirs.
    """
    pairs = zip(gradients, variables, strict=True)
    sums = [None if gradient is None else _summed(gradient, variable) for gradient, variable in pairs]
    rows = frozenset(index for index, gradient in enumerate(gradients) if isinstance(gradient, tf.IndexedSlices))
    return Accumulated({}, sums, rows, _squares(gradients))


def _parts(tensor: tf.Tensor, micro_batches: int) -> tf.Tensor:
    """`[B, ...]` -> `[micro_batches, B / micro_batches, ...]`."""
    rows = tensor.shape[0]
    size = tf.shape(tensor)[0] // micro_batches if rows is None else rows // micro_batches
    return tf.reshape(tensor, tf.concat([[micro_batches, size], tf.shape(tensor)[1:]], axis=0))


def _summed(gradient: Gradient, variable: tf.Variable) -> tf.Tensor:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    summed = tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])
    return tf.ensure_shape(summed, variable.shape)


def _added(total: tf.Tensor, gradient: Gradient) -> tf.Tensor:
    if not isinstance(gradient, tf.IndexedSlices):
        return total + gradient
    return tf.tensor_scatter_nd_add(total, gradient.indices[:, tf.newaxis], gradient.values)


def _squares(gradients: Sequence[Gradient | None]) -> tf.Tensor:
    rows = [gradient.values for gradient in gradients if isinstance(gradient, tf.IndexedSlices)]
    return tf.add_n([tf.zeros([]), *[tf.reduce_sum(tf.square(values)) for values in rows]])
