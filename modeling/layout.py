"""How the tokens of a batch lie in memory: with their padding, or the real ones only.

Everything in the encoder but attention looks at one token at a time, so it runs on a matrix `[N, H]` of tokens. A
layout takes `[B, S, H]` to that matrix and back. Leaving the padding out saves its share of the work and changes no
number of a real token: attention gives padding a weight of exactly zero.
"""

import abc
from typing import final

import tensorflow as tf

from modeling.shapes import get_shape_list


class Layout(abc.ABC):
    """A reversible way from `[B, S, ...]` to rows of tokens `[N, ...]`."""

    @abc.abstractmethod
    def pack(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[N, H]` of a tensor `[B, S, H]`."""

    @abc.abstractmethod
    def unpack(self, rows: tf.Tensor) -> tf.Tensor:
        """The tensor `[B, S, H]` of rows `[N, H]`."""

    @abc.abstractmethod
    def first(self, rows: tf.Tensor) -> tf.Tensor:
        """The first token of each example, `[B, H]`, of rows `[N, H]`."""


@final
class PaddedLayout(Layout):
    """Every position is a row, N = B * S: shapes stay static, as TPU and XLA need them.

    Args:
      batch_size: B, a number or a scalar tensor.
      seq_length: S, likewise.
    """

    def __init__(self, batch_size: int | tf.Tensor, seq_length: int | tf.Tensor) -> None:
        self._shape = [batch_size, seq_length]

    def pack(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[B * S, H]`, a view."""
        return tf.reshape(tensor, [-1, tensor.shape[-1]])

    def unpack(self, rows: tf.Tensor) -> tf.Tensor:
        """The tensor `[B, S, H]`, a view."""
        return tf.reshape(rows, [*self._shape, rows.shape[-1]])

    def first(self, rows: tf.Tensor) -> tf.Tensor:
        """The first token of each example, `[B, H]`."""
        return self.unpack(rows)[:, 0]


@final
class PackedLayout(Layout):
    """Only real tokens are rows, N = sum of the mask; `unpack` puts zeros in place of padding.

    Each direction is the other's gradient, so both passes are gathers: nothing is added up row by row.

    Args:
      input_mask: int32 `[B, S]`, 1 for a real token.
    """

    def __init__(self, input_mask: tf.Tensor) -> None:
        self._shape = get_shape_list(input_mask, expected_rank=2)
        real = tf.reshape(tf.not_equal(input_mask, 0), [-1])  # [B*S]
        self._position_of_row = tf.reshape(tf.where(real), [-1])  # [N]
        rows = tf.size(self._position_of_row)
        # Padding points one past the last row, where `_spread` puts a row of zeros.
        self._row_of_position = tf.where(real, tf.cumsum(tf.cast(real, tf.int32)) - 1, rows)  # [B*S]

    def pack(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[N, H]` of the real tokens."""
        return _gather_with(self._collect, self._spread)(tensor)

    def unpack(self, rows: tf.Tensor) -> tf.Tensor:
        """The tensor `[B, S, H]`, zero at padding."""
        return _gather_with(self._spread, self._collect)(rows)

    def first(self, rows: tf.Tensor) -> tf.Tensor:
        """The first token of each example, `[B, H]`; zeros where it is padding."""
        row_of_first = tf.reshape(self._row_of_position, self._shape)[:, 0]

        def forward(rows: tf.Tensor) -> tf.Tensor:
            return tf.gather(_with_zero_row(rows), row_of_first)

        def backward(gradient: tf.Tensor) -> tf.Tensor:
            return self._collect(tf.pad(gradient[:, tf.newaxis], [[0, 0], [0, self._shape[1] - 1], [0, 0]]))

        return _gather_with(forward, backward)(rows)

    def _collect(self, tensor: tf.Tensor) -> tf.Tensor:
        width = tensor.shape[-1]
        return tf.gather(tf.reshape(tensor, [-1, width]), self._position_of_row)

    def _spread(self, rows: tf.Tensor) -> tf.Tensor:
        spread = tf.gather(_with_zero_row(rows), self._row_of_position)
        return tf.reshape(spread, [*self._shape, rows.shape[-1]])


def _with_zero_row(rows: tf.Tensor) -> tf.Tensor:
    return tf.concat([rows, tf.zeros([1, rows.shape[-1]], rows.dtype)], axis=0)  # [N + 1, H]


def _gather_with(forward, backward):  # noqa: ANN001 - two functions of one tensor
    @tf.custom_gradient
    def gather(tensor: tf.Tensor):
        return forward(tensor), backward

    return gather
