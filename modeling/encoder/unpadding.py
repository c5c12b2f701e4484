"""How the tokens of a batch lie in memory: with their padding, or the real ones only.

Everything in the encoder but attention looks at one token at a time, so it runs on a matrix `[N, H]` of tokens. A
layout takes `[B, S, H]` to that matrix and back. Leaving the padding out saves its fraction of the work and changes no
number of a real token: attention gives padding a weight of exactly zero.
"""

import abc
from collections.abc import Callable
from typing import Any, final

import tensorflow as tf

from modeling.encoder.gradients import with_gradient
from modeling.encoder.shapes import get_shape_list

Rows = Callable[[tf.Tensor], tf.Tensor]


class Layout(abc.ABC):
    """A reversible way from `[B, S, ...]` to rows of tokens `[N, ...]`."""

    @abc.abstractmethod
    def pack(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[N, H]` of a tensor `[B, S, H]`."""

    @abc.abstractmethod
    def unpack(self, rows: tf.Tensor) -> tf.Tensor:
        """The tensor `[B, S, H]` of rows `[N, H]`."""

    @abc.abstractmethod
    def split_heads(self, rows: tf.Tensor, num_heads: int) -> tf.Tensor:
        """The tensor `[B, A, S, D]` of rows `[N, A * D]`, as attention multiplies it."""

    @abc.abstractmethod
    def merge_heads(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[N, A * D]` of a tensor `[B, A, S, D]`."""

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

    def split_heads(self, rows: tf.Tensor, num_heads: int) -> tf.Tensor:
        """The tensor `[B, A, S, D]`."""
        return tf.transpose(tf.reshape(rows, [*self._shape, num_heads, rows.shape[-1] // num_heads]), [0, 2, 1, 3])

    def merge_heads(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[B * S, A * D]`."""
        num_heads, size = tensor.shape[1], tensor.shape[3]
        return tf.reshape(tf.transpose(tensor, [0, 2, 1, 3]), [-1, num_heads * size])

    def first(self, rows: tf.Tensor) -> tf.Tensor:
        """The first token of each example, `[B, H]`."""
        return self.unpack(rows)[:, 0]


@final
class PackedLayout(Layout):
    """Only real tokens are rows, N = sum of the mask; `unpack` puts zeros in place of padding.

    Each direction is the other's gradient, so both passes are gathers: nothing is added up row by row.

    Args:
      input_mask: int32 `[B, S]`, 1 for a real token.
      num_heads: A, of the attention.
    """

    def __init__(self, input_mask: tf.Tensor, num_heads: int = 1) -> None:
        self._shape = get_shape_list(input_mask, expected_rank=2)
        self._num_heads = num_heads
        real = tf.reshape(tf.not_equal(input_mask, 0), [-1])  # [B*S]
        # A batch without a single token keeps one all the same, for padding to point to.
        real |= ~tf.reduce_any(real) & tf.equal(tf.range(tf.size(real)), 0)
        self._position_of_row = tf.reshape(tf.where(real), [-1])  # [N]
        rows = tf.size(self._position_of_row)
        # Padding points one past the last row, where `_spread` puts a row of zeros.
        self._row_of_position = tf.where(real, tf.cumsum(tf.cast(real, tf.int32)) - 1, rows)  # [B*S]
        # Made here and not where they are used: a layer that is computed again must find them outside of it.
        self._part_of_head, self._part_of_head_or_zero = self._parts_of_heads(rows)  # [B, A, S]
        self._head_of_part = self._heads_of_parts()  # [N, A]

    def pack(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[N, H]` of the real tokens."""
        return _gather_with(self._collect, self._spread)(tensor)

    def unpack(self, rows: tf.Tensor) -> tf.Tensor:
        """The tensor `[B, S, H]`, zero at padding."""
        return _gather_with(self._spread, self._collect)(rows)

    def split_heads(self, rows: tf.Tensor, num_heads: int) -> tf.Tensor:
        """The tensor `[B, A, S, D]`; at padding it repeats a real token, to which attention gives no weight.

        One gather of parts of rows takes the place of a gather of rows and a transposition.

        Raises:
          ValueError: `num_heads` is not what the layout was made for.
        """
        if num_heads != self._num_heads:
            raise ValueError(f"the layout was made for {self._num_heads} heads, not {num_heads}")
        return _gather_with(self._to_heads, self._from_heads)(rows)

    def merge_heads(self, tensor: tf.Tensor) -> tf.Tensor:
        """Rows `[N, A * D]` of the real tokens."""
        return _gather_with(self._from_heads, self._to_heads_or_zero)(tensor)

    def first(self, rows: tf.Tensor) -> tf.Tensor:
        """The first token of each example, `[B, H]`; zeros where it is padding."""
        row_of_first = tf.reshape(self._row_of_position, self._shape)[:, 0]

        def forward(rows: tf.Tensor) -> tf.Tensor:
            return tf.gather(_with_zero_row(rows), row_of_first)

        def backward(gradient: tf.Tensor) -> tf.Tensor:
            return self._collect(tf.pad(gradient[:, tf.newaxis], [[0, 0], [0, self._shape[1] - 1], [0, 0]]))

        return _gather_with(forward, backward)(rows)

    def _parts_of_heads(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """For each head and position the part of a row, of `[N * A, D]`, that stands there; at padding 0, or N * A."""
        heads = tf.range(self._num_heads)[:, tf.newaxis]  # [A, 1]
        row = tf.reshape(self._row_of_position, self._shape)[:, tf.newaxis]  # [B, 1, S]
        parts = row * self._num_heads + heads  # [B, A, S]
        is_padding = tf.equal(row, rows)
        return tf.where(is_padding, 0, parts), tf.where(is_padding, rows * self._num_heads, parts)

    def _heads_of_parts(self) -> tf.Tensor:
        """For each part of a row its place in `[B * A * S, D]`."""
        length = self._shape[1]
        position = tf.cast(self._position_of_row, tf.int32)[:, tf.newaxis]  # [N, 1]
        example = position // length
        return position + (example * (self._num_heads - 1) + tf.range(self._num_heads)) * length

    def _to_heads(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._in_parts(rows), self._part_of_head)

    def _to_heads_or_zero(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.gather(_with_zero_row(self._in_parts(rows)), self._part_of_head_or_zero)

    def _from_heads(self, tensor: tf.Tensor) -> tf.Tensor:
        size = tensor.shape[-1]
        parts = tf.gather(tf.reshape(tensor, [-1, size]), self._head_of_part)  # [N, A, D]
        return tf.reshape(parts, [-1, self._num_heads * size])

    def _in_parts(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.reshape(rows, [-1, rows.shape[-1] // self._num_heads])

    def _collect(self, tensor: tf.Tensor) -> tf.Tensor:
        width = tensor.shape[-1]
        return tf.gather(tf.reshape(tensor, [-1, width]), self._position_of_row)

    def _spread(self, rows: tf.Tensor) -> tf.Tensor:
        spread = tf.gather(_with_zero_row(rows), self._row_of_position)
        return tf.reshape(spread, [*self._shape, rows.shape[-1]])


def _with_zero_row(rows: tf.Tensor) -> tf.Tensor:
    return tf.concat([rows, tf.zeros([1, rows.shape[-1]], rows.dtype)], axis=0)  # [N + 1, H]


def _gather_with(forward: Rows, backward: Rows) -> Rows:
    @with_gradient
    def gather(tensor: tf.Tensor) -> Any:
        return forward(tensor), backward

    return gather
