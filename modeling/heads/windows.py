"""A head over documents: the encoder reads windows, and their scores become those of the document."""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.heads.base import Encode, Features, Head
from modeling.heads.pooling_names import FIRST, MAX, WINDOW_POOLINGS
from modeling.heads.wrapped import WrappedHead

WINDOW_LENGTHS = "window_lengths"
TOKENS_AT_ONCE = 8192
"""Tokens of windows that are computed at once where nothing is trained: no document takes more memory, however long."""
_CUT = ("input_ids", "input_mask", "segment_ids")


class _Windows(NamedTuple):
    """Windows of all documents, int32 `[V]`: the row of each, its first token in the row, its length."""

    rows: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor


@final
class WindowedHead(WrappedHead):
    """Another head, whose scores of each window are pooled before its loss: a document is one example.

    A row holds the windows of a document one after the other, `input_ids`, `input_mask` and `segment_ids` int32
    `[B, T]`, and `window_lengths` int32 `[B, W]`, 0 behind the last. Only windows are computed, not what fills up rows;
    where shapes are static, W windows of `max_seq_length` tokens for each row.

    Scores are pooled and not vectors: the mean of scores is the score of the mean vector, as the layer between them is
    linear; the largest score of a class is that of the window which shows it most; a head of any form will do; its
    variables are those of a head over single texts; and of a window nothing is kept but its scores.

    Args:
      head: reads a window; its raw output is `[N, C]`.
      pooling: one of `WINDOW_POOLINGS`.
      max_seq_length: most tokens of a window.
    """

    def __init__(self, head: Head, pooling: str, max_seq_length: int) -> None:
        if pooling not in WINDOW_POOLINGS:
            raise ValueError(f"pooling {pooling!r}: expected one of {', '.join(WINDOW_POOLINGS)}")
        super().__init__(head)
        self._pooling, self._max_seq_length = pooling, max_seq_length
        self.further_inputs = (*head.further_inputs, WINDOW_LENGTHS)

    def read(self, encode: Encode, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of documents `[B, C]`."""
        lengths = features[WINDOW_LENGTHS]
        if self._pooling == FIRST:
            lengths = lengths[:, :1]
        is_window = lengths > 0
        if lengths.shape.is_fully_defined():
            windows = _flat(lengths)
            scores = self._scores(encode, features, windows, is_training, self._max_seq_length)
            by_document = tf.reshape(scores, [*lengths.shape, scores.shape[-1]])
        else:
            windows = _Windows(*(tf.boolean_mask(values, tf.reshape(is_window, [-1])) for values in _flat(lengths)))
            scores = self._scores_in_turn(encode, features, windows, is_training)
            shape = tf.concat([tf.shape(lengths), [tf.shape(scores)[-1]]], axis=0)
            by_document = tf.scatter_nd(tf.cast(tf.where(is_window), tf.int32), scores, shape)
            by_document = tf.ensure_shape(by_document, [None, None, scores.shape[-1]])
        return self._pooled(by_document, is_window)

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of windows `[V, C]`."""
        return self._head.logits(encoder, features, is_training)

    def _scores(
        self, encode: Encode, features: Features, windows: _Windows, is_training: bool, width: int | tf.Tensor
    ) -> tf.Tensor:
        """Scores of windows `[V, C]`, all computed at once on `width` tokens."""
        cut = _cut(features, windows, width)
        return self.logits(encode(cut), cut, is_training)

    def _scores_in_turn(self, encode: Encode, features: Features, windows: _Windows, is_training: bool) -> tf.Tensor:
        """Scores of windows `[V, C]`: in training computed at once, otherwise so many at a time."""

        def scores(some: _Windows) -> tf.Tensor:
            width = tf.maximum(tf.reduce_max(some.lengths), 1)
            return self._scores(encode, features, some, is_training, width)

        if is_training:
            return scores(windows)
        at_once = max(TOKENS_AT_ONCE // self._max_seq_length, 1)

        def part(start: tf.Tensor | int) -> _Windows:
            return _Windows(*(values[start : start + at_once] for values in windows))

        def step(start: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scope = tf.compat.v1.get_variable_scope()
            with tf.compat.v1.variable_scope(scope, reuse=True, custom_getter=from_outside):
                return start + at_once, tf.concat([found, scores(part(start))], axis=0)

        # The first windows stand before the loop and make the variables; most batches have no more.
        first = scores(part(0))
        from_outside = _values_of_variables()
        count = tf.size(windows.lengths)
        shapes = [tf.TensorShape([]), tf.TensorShape([None, first.shape[-1]])]
        _, found = tf.while_loop(
            lambda start, _: start < count, step, [tf.constant(at_once), first], shapes, parallel_iterations=1
        )
        return found

    def _pooled(self, scores: tf.Tensor, is_window: tf.Tensor) -> tf.Tensor:
        """Scores of documents `[B, C]` of those of their windows `[B, W, C]`; 0 where there is none."""
        mask = is_window[:, :, tf.newaxis]
        if self._pooling == MAX:
            lowest = tf.where(mask, scores, scores.dtype.min)
            some = tf.reduce_any(mask, axis=1)
            return tf.where(some, tf.reduce_max(lowest, axis=1), 0.0)
        weights = tf.cast(mask, scores.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(scores * weights, axis=1), tf.reduce_sum(weights, axis=1))


def _values_of_variables() -> Callable[..., Any]:
    """A getter that gives the values that variables have outside of a loop: a frozen graph can keep no other inside."""
    values = {variable.op.name: tf.identity(variable) for variable in tf.compat.v1.trainable_variables()}

    def value(getter: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        return values[name] if name in values else getter(name, *arguments, **options)

    return value


def _flat(lengths: tf.Tensor) -> _Windows:
    """Windows of lengths `[B, W]`, those of a row one after the other."""
    starts = tf.cumsum(lengths, axis=1, exclusive=True)
    rows = tf.broadcast_to(tf.range(tf.shape(lengths)[0])[:, tf.newaxis], tf.shape(lengths))
    return _Windows(*(tf.reshape(values, [-1]) for values in (rows, starts, lengths)))


def _cut(features: Features, windows: _Windows, width: int | tf.Tensor) -> Features:
    """The encoder's inputs of windows, int32 `[V, width]`."""
    place = tf.range(width)[tf.newaxis]
    is_token = place < windows.lengths[:, tf.newaxis]
    row_starts = windows.rows * tf.shape(features["input_ids"])[1] + windows.starts
    index = tf.where(is_token, row_starts[:, tf.newaxis] + place, 0)
    # One spare element keeps the look-up valid where there is no row.
    cut = {name: tf.gather(tf.concat([tf.reshape(features[name], [-1]), [0]], axis=0), index) for name in _CUT}
    return {name: tf.where(is_token, values, 0) for name, values in cut.items()}
