"""Self-attention and the stack of encoder layers.

Source: arXiv:1706.03762 and arXiv:1810.04805, post-layer-norm, as google-research/bert computes it.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import tensorflow as tf

from modeling.encoder.inserted import NOTHING_INSERTED, Inserted
from modeling.encoder.layers import LAYER_NORM_EPSILON, Activation, dense, dropout, gelu, layer_norm
from modeling.encoder.precision import as_type
from modeling.encoder.recompute import recomputed
from modeling.encoder.shapes import assert_rank, get_shape_list
from modeling.encoder.step_seeds import next_seeds
from modeling.encoder.unpadding import Layout, PaddedLayout

# Added to the score of a masked position: its weight is zero in float32, and the sum stays finite.
MASKED_SCORE = -10000.0

Seeds = tuple[tf.Tensor | None, tf.Tensor | None]
"""Of a dropout, and of low-rank deltas."""
DROPOUTS = 3  # of a layer: attention weights, attention output, output


@dataclasses.dataclass(frozen=True)
class LayerSettings:
    """What every layer of an encoder has in common; the names are those of `transformer_model`.

    With `groups` the layers share so many sets of weights, each set for layers that follow each other.
    """

    num_attention_heads: int
    intermediate_size: int
    intermediate_act_fn: Activation | None
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    initializer_range: float
    recompute: bool = False
    layer_norm_eps: float = LAYER_NORM_EPSILON
    groups: int | None = None
    inserted: Inserted = NOTHING_INSERTED


def create_attention_mask_from_input_mask(from_tensor: tf.Tensor, to_mask: tf.Tensor) -> tf.Tensor:
    """Mask that lets every position attend to the real tokens.

    Args:
      from_tensor: `[B, F, ...]`; only its shape matters.
      to_mask: int32 `[B, T]`, 1 for a real token.

    Returns:
      float32 `[B, F, T]`, 1 where attention is allowed.
    """
    batch_size, from_length = get_shape_list(from_tensor, expected_rank=(2, 3))[:2]
    to_length = get_shape_list(to_mask, expected_rank=2)[1]
    mask = tf.cast(tf.reshape(to_mask, [batch_size, 1, to_length]), tf.float32)
    return mask * tf.ones([batch_size, from_length, 1], tf.float32)


def create_attention_mask_from_sequence_ids(sequence_ids: tf.Tensor) -> tf.Tensor:
    """Mask that keeps several sequences in a row apart: each position attends to its own sequence.

    Args:
      sequence_ids: int32 `[B, S]`, one number for each sequence of a row; 0 for padding, which nothing attends to.

    Returns:
      bool `[B, S, S]`, true where attention is allowed.
    """
    same = tf.equal(sequence_ids[:, :, tf.newaxis], sequence_ids[:, tf.newaxis])
    return tf.logical_and(same, tf.not_equal(sequence_ids, 0)[:, tf.newaxis])


def attention_bias(attention_mask: tf.Tensor) -> tf.Tensor:
    """What to add to the scores `[B, A, F, T]`, from a mask `[B, F, T]` or one that broadcasts to it."""
    return (1.0 - tf.cast(attention_mask[:, tf.newaxis], tf.float32)) * MASKED_SCORE  # [B, 1, F, T]


def attention_layer(  # noqa: PLR0913 - upstream's signature
    from_tensor: tf.Tensor,
    to_tensor: tf.Tensor,
    attention_mask: tf.Tensor | None = None,
    num_attention_heads: int = 1,
    size_per_head: int = 512,
    query_act: Activation | None = None,
    key_act: Activation | None = None,
    value_act: Activation | None = None,
    attention_probs_dropout_prob: float = 0.0,
    initializer_range: float = 0.02,
    do_return_2d_tensor: bool = False,
    batch_size: int | None = None,
    from_seq_length: int | None = None,
    to_seq_length: int | None = None,
) -> tf.Tensor:
    """Multi-head attention with the variables `query`, `key` and `value`.

    Args:
      from_tensor: float `[B, F, width]`, or `[B * F, width]` with the lengths given.
      to_tensor: float `[B, T, width]`, or `[B * T, width]`.
      attention_mask: `[B, F, T]`, 1 where attention is allowed, 0 where not; None allows all.
      num_attention_heads: A.
      size_per_head: D.
      query_act, key_act, value_act: activations of the three projections.
      attention_probs_dropout_prob: probability of dropping an attention weight.
      initializer_range: standard deviation of the kernels' initializer.
      do_return_2d_tensor: return a matrix of tokens.
      batch_size, from_seq_length, to_seq_length: B, F and T, needed with matrices only.

    Returns:
      float `[B, F, A * D]`, or `[B * F, A * D]` with `do_return_2d_tensor`.

    Raises:
      ValueError: the inputs differ in rank, or are matrices and a length is missing.
    """
    assert_rank(from_tensor, (2, 3))
    assert_rank(to_tensor, from_tensor.shape.rank)
    if from_tensor.shape.rank == 3:
        batch_size, from_seq_length = get_shape_list(from_tensor)[:2]
        to_seq_length = get_shape_list(to_tensor)[1]
    elif batch_size is None or from_seq_length is None or to_seq_length is None:
        raise ValueError("attention_layer: matrices need batch_size, from_seq_length and to_seq_length")
    from_layout, to_layout = PaddedLayout(batch_size, from_seq_length), PaddedLayout(batch_size, to_seq_length)
    from_rows, to_rows = from_layout.pack(from_tensor), to_layout.pack(to_tensor)
    units = num_attention_heads * size_per_head
    query = dense(from_rows, units, "query", query_act, initializer_range)
    key = dense(to_rows, units, "key", key_act, initializer_range)
    value = dense(to_rows, units, "value", value_act, initializer_range)
    bias = None if attention_mask is None else attention_bias(attention_mask)
    context = _attend(
        from_layout.split_heads(scaled(query, num_attention_heads), num_attention_heads),
        to_layout.split_heads(key, num_attention_heads),
        to_layout.split_heads(value, num_attention_heads),
        bias,
        attention_probs_dropout_prob,
    )
    rows = from_layout.merge_heads(context)
    return rows if do_return_2d_tensor else from_layout.unpack(rows)


def scaled(query: tf.Tensor, num_heads: int) -> tf.Tensor:
    """Queries `[N, A * D]` by the root of D: that scales the scores, with less work."""
    return query * (1.0 / math.sqrt(query.shape[-1] // num_heads))


def _attend(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: tf.Tensor | None,
    dropout_prob: float,
    seed: tf.Tensor | None = None,
) -> tf.Tensor:
    """Values weighted by the softmax of the scores: `[B, A, F, D]`, two of `[B, A, T, D]` -> `[B, A, F, D]`.

    Products are computed in the type of the inputs, the softmax in float32.
    """
    scores = as_type(tf.matmul(query, key, transpose_b=True), tf.float32)  # [B, A, F, T]
    weights = as_type(tf.nn.softmax(scores if bias is None else scores + bias), value.dtype)
    return tf.matmul(dropout(weights, dropout_prob, seed), value)


def _self_attention(
    inputs: tf.Tensor,
    rows: tf.Tensor,
    layout: Layout,
    bias: tf.Tensor | None,
    settings: LayerSettings,
    seeds: Seeds,
) -> tf.Tensor:
    """What `inputs` gather from `rows`: all of these, or, where they differ, the first token of each example."""
    width, heads = rows.shape[-1], settings.num_attention_heads
    first_only = inputs is not rows

    def projected(source: tf.Tensor, name: str) -> tf.Tensor:
        return dense(source, width, name, None, settings.initializer_range, settings.inserted.delta(name, seeds[-1]))

    query = scaled(projected(inputs, "query"), heads)
    key, value = (layout.split_heads(projected(rows, name), heads) for name in ("key", "value"))
    if first_only:  # a single position has its heads side by side already
        query = tf.reshape(query, [-1, heads, 1, width // heads])
        bias = bias if bias is None or bias.shape[2] == 1 else bias[:, :, :1]
    else:
        query = layout.split_heads(query, heads)
    context = _attend(query, key, value, bias, settings.attention_probs_dropout_prob, seeds[0])
    return tf.reshape(context, [-1, width]) if first_only else layout.merge_heads(context)


def encoder_layer(
    rows: tf.Tensor,
    layout: Layout,
    bias: tf.Tensor | None,
    settings: LayerSettings,
    first_only: bool = False,
    seeds: tf.Tensor | None = None,
) -> tf.Tensor:
    """One layer of the encoder on a matrix of tokens.

    Args:
      rows: float `[N, H]`, in the type to compute in.
      layout: where the rows lie in the batch.
      bias: `[B, 1, F or 1, T]`, added to the attention scores; None for none.
      settings: sizes and dropout.
      first_only: compute the output of each example's first token only.
      seeds: int32 `[3, 2]`, of the dropouts, and one more where deltas drop inputs; by default every run draws others.

    Returns:
      `[N, H]` in the same type, or `[B, H]` with `first_only`.
    """
    drawn = [None] * (DROPOUTS + 1) if seeds is None else [*tf.unstack(seeds), None]
    of_weights, of_attention, of_outputs, of_deltas = drawn[: DROPOUTS + 1]
    with tf.compat.v1.variable_scope("attention"):
        inputs = layout.first(rows) if first_only else rows
        with tf.compat.v1.variable_scope("self"):
            context = _self_attention(inputs, rows, layout, bias, settings, (of_weights, of_deltas))
        attended = residual(context, inputs, settings, (of_attention, of_deltas), is_attention=True)
    return feed_forward(attended, settings, (of_outputs, of_deltas))


def residual(
    outputs: tf.Tensor,
    inputs: tf.Tensor,
    settings: LayerSettings,
    seeds: Seeds = (None, None),
    is_attention: bool = False,
) -> tf.Tensor:
    """The variables `output`: a linear layer and dropout, added to what went in, normalized.

    Args:
      outputs: float `[N, any]`.
      inputs: float `[N, H]`.
      settings: sizes and dropout, and what is inserted here.
      seeds: of the dropout, and of deltas; by default every run draws others.
      is_attention: whether this ends attention, and not the feed-forward part.

    Returns:
      `[N, H]` in the type of the inputs.
    """

    def normalize(rows: tf.Tensor, is_there: bool) -> tf.Tensor:
        with tf.compat.v1.variable_scope(tf.compat.v1.get_variable_scope(), reuse=is_there or None):
            return layer_norm(rows, "LayerNorm", settings.layer_norm_eps)

    inserted = settings.inserted
    with tf.compat.v1.variable_scope("output"):
        delta = inserted.delta("attention_output" if is_attention else "output", seeds[1])
        outputs = dense(outputs, inputs.shape[-1], "dense", None, settings.initializer_range, delta)
        outputs = dropout(outputs, settings.hidden_dropout_prob, seeds[0])
        return inserted.joined(outputs, inputs, normalize, is_last=not is_attention)


def feed_forward(rows: tf.Tensor, settings: LayerSettings, seeds: Seeds = (None, None)) -> tf.Tensor:
    """The second half of a layer, with the variables `intermediate` and `output`: `[N, H]` -> `[N, H]`."""
    with tf.compat.v1.variable_scope("intermediate"):
        size, activation = settings.intermediate_size, settings.intermediate_act_fn
        delta = settings.inserted.delta("intermediate", seeds[1])
        inner = dense(rows, size, "dense", activation, settings.initializer_range, delta)
    return residual(inner, rows, settings, seeds)


def encode(
    rows: tf.Tensor,
    layout: Layout,
    bias: tf.Tensor | None,
    settings: LayerSettings,
    num_hidden_layers: int,
    last_on_first_only: bool = False,
) -> list[tf.Tensor]:
    """Rows after each layer; the last is `[B, H]` with `last_on_first_only`."""
    outputs = []
    for index in range(num_hidden_layers):
        is_last = index == num_hidden_layers - 1
        layer = functools.partial(
            encoder_layer, layout=layout, bias=bias, settings=settings, first_only=last_on_first_only and is_last
        )
        reuse = None if settings.groups is None else tf.compat.v1.AUTO_REUSE
        with tf.compat.v1.variable_scope(layer_name(index, num_hidden_layers, settings.groups), reuse=reuse):
            # The backward pass begins with the last layer: computing that again would not lower the peak.
            rows = _recomputed_layer(layer, rows, settings) if settings.recompute and not is_last else layer(rows)
            outputs.append(rows)
    return outputs


def layer_name(index: int, num_hidden_layers: int, groups: int | None) -> str:
    """The scope of a layer's weights, which layers of one group share."""
    return f"layer_{index if groups is None else index * groups // num_hidden_layers}"


def _recomputed_layer(layer: Callable[..., tf.Tensor], rows: tf.Tensor, settings: LayerSettings) -> tf.Tensor:
    """A layer that is computed again in the backward pass, under the same dropout."""
    return recomputed(functools.partial(layer, seeds=next_seeds(DROPOUTS + settings.inserted.draws)), rows)


def transformer_model(  # noqa: PLR0913 - upstream's signature
    input_tensor: tf.Tensor,
    attention_mask: tf.Tensor | None = None,
    hidden_size: int = 768,
    num_hidden_layers: int = 12,
    num_attention_heads: int = 12,
    intermediate_size: int = 3072,
    intermediate_act_fn: Activation | None = gelu,
    hidden_dropout_prob: float = 0.1,
    attention_probs_dropout_prob: float = 0.1,
    initializer_range: float = 0.02,
    do_return_all_layers: bool = False,
) -> tf.Tensor | list[tf.Tensor]:
    """A stack of encoder layers.

    Args:
      input_tensor: float `[B, S, H]`.
      attention_mask: `[B, S, S]`, 1 where attention is allowed; None allows all.
      hidden_size: H, the width of the input and a multiple of the number of heads.
      num_hidden_layers: number of layers.
      num_attention_heads: A.
      intermediate_size: width of the feed-forward layers.
      intermediate_act_fn: their activation.
      hidden_dropout_prob: probability of dropping a hidden value.
      attention_probs_dropout_prob: probability of dropping an attention weight.
      initializer_range: standard deviation of the kernels' initializer.
      do_return_all_layers: return the output of every layer.

    Returns:
      float `[B, S, H]` of the last layer, or a list of all.

    Raises:
      ValueError: `hidden_size` is not a multiple of the heads, or not the width of the input.
    """
    if hidden_size % num_attention_heads:
        raise ValueError(f"hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}")
    batch_size, seq_length, width = get_shape_list(input_tensor, expected_rank=3)
    if width != hidden_size:
        raise ValueError(f"the input is {width} wide, but hidden_size is {hidden_size}; the residuals need the same")
    settings = LayerSettings(
        num_attention_heads, intermediate_size, intermediate_act_fn, hidden_dropout_prob,
        attention_probs_dropout_prob, initializer_range,
    )  # fmt: skip
    layout = PaddedLayout(batch_size, seq_length)
    bias = None if attention_mask is None else attention_bias(attention_mask)
    layers = encode(layout.pack(input_tensor), layout, bias, settings, num_hidden_layers)
    outputs = [layout.unpack(rows) for rows in layers]
    return outputs if do_return_all_layers else outputs[-1]
