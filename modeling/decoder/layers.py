"""A layer that writes: attention to what was read, and to what was written before.

Source: arXiv:1706.03762, section 3.1, post-layer-norm; variable names as in the encoder, and `crossattention` as
Hugging Face's BERT has it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from modeling.encoder.attention import MASKED_SCORE, LayerSettings, feed_forward, residual, scaled
from modeling.encoder.layers import dense, dropout
from modeling.encoder.precision import as_type
from modeling.encoder.shapes import get_shape_list
from modeling.encoder.unpadding import Layout


class KeysValues(NamedTuple):
    """What attention finds at some positions: keys and values `[R, A, T, D]`."""

    keys: tf.Tensor
    values: tf.Tensor

    def followed_by(self, others: "KeysValues") -> "KeysValues":
        """These positions, and then others."""
        return KeysValues(*(tf.concat(pair, axis=2) for pair in zip(self, others, strict=True)))

    def of_rows(self, rows: tf.Tensor) -> "KeysValues":
        """Those of other rows: int32 `[R']`, places in these."""
        return KeysValues(*(tf.gather(values, rows) for values in self))


class Seen(NamedTuple):
    """Positions to attend to, and what is added to their scores: broadcast to `[R, A, F, T]`; None for nothing."""

    at: KeysValues
    bias: tf.Tensor | None


def keys_values(rows: tf.Tensor, layout: Layout, settings: LayerSettings) -> KeysValues:
    """The variables `key` and `value` on rows `[N, H]`."""
    heads, spread = settings.num_attention_heads, settings.initializer_range
    return KeysValues(
        *(
            layout.split_heads(dense(rows, rows.shape[-1], name, initializer_range=spread), heads)
            for name in ("key", "value")
        )
    )


def query(rows: tf.Tensor, layout: Layout, settings: LayerSettings) -> tf.Tensor:
    """The variables `query` on rows `[N, H]`, scaled: `[R, A, F, D]`."""
    heads = settings.num_attention_heads
    found = dense(rows, rows.shape[-1], "query", initializer_range=settings.initializer_range)
    return layout.split_heads(scaled(found, heads), heads)


def attended(queries: tf.Tensor, seen: Sequence[Seen], settings: LayerSettings) -> tf.Tensor:
    """Values of several sets of positions weighted by one softmax, without joining the sets: `[R, A, F, D]`."""
    scores = []
    for at, bias in seen:
        score = as_type(tf.matmul(queries, at.keys, transpose_b=True), tf.float32)
        scores.append(score if bias is None else score + bias)
    weights = as_type(tf.nn.softmax(tf.concat(scores, axis=-1)), queries.dtype)
    weights = dropout(weights, settings.attention_probs_dropout_prob)
    start = 0
    values = []
    for at, _ in seen:
        size = get_shape_list(at.keys)[2]
        values.append(tf.matmul(weights[..., start : start + size], at.values))
        start += size
    return tf.add_n(values)


def writing_layer(
    rows: tf.Tensor,
    layout: Layout,
    settings: LayerSettings,
    read: Seen,
    written: KeysValues | None,
    crosses: bool,
) -> tuple[tf.Tensor, KeysValues]:
    """One layer on the tokens of texts that are being written.

    Args:
      rows: float `[N, H]` of the new tokens.
      layout: where they lie among `[R, F]`.
      settings: sizes and dropout.
      read: what was read.
      written: the tokens before the new ones; None where there are none.
      crosses: whether what was read is attended to in a step of its own, with variables `crossattention`; else
        together with what was written.

    Returns:
      `[N, H]`, and the keys and values of all that is written now.
    """
    with tf.compat.v1.variable_scope("attention"):
        with tf.compat.v1.variable_scope("self"):
            new = keys_values(rows, layout, settings)
            queries = query(rows, layout, settings)
            written = new if written is None else written.followed_by(new)
            own = Seen(written, causal_bias(queries, written))
            context = layout.merge_heads(attended(queries, [own] if crosses else [read, own], settings))
        rows = residual(context, rows, settings)
    if crosses:
        with tf.compat.v1.variable_scope("crossattention"):
            with tf.compat.v1.variable_scope("self"):
                context = layout.merge_heads(attended(query(rows, layout, settings), [read], settings))
            rows = residual(context, rows, settings)
    return feed_forward(rows, settings), written


def causal_bias(queries: tf.Tensor, written: KeysValues) -> tf.Tensor | None:
    """What keeps the last F of T positions from those behind them: `[F, T]`; None for a single one."""
    new, known = get_shape_list(queries)[2], get_shape_list(written.keys)[2]
    if isinstance(new, int) and new == 1:
        return None
    position = tf.range(known)
    return tf.where(position[tf.newaxis] > (position[known - new :])[:, tf.newaxis], MASKED_SCORE, 0.0)
