"""`PairFeaturizer` in the graph: tokens of one or two texts -> the encoder's inputs, for the raw-text signature."""

import tensorflow as tf

from processors.records.featurizer import HEAD, HEAD_SHARE, TAIL
from processors.records.pair_layout import PairLayout


def pack_pairs(
    layout: PairLayout[int],
    a: tf.RaggedTensor,
    b: tf.RaggedTensor,
    has_b: tf.Tensor,
    max_seq_length: int,
    truncation: str = HEAD,
) -> dict[str, tf.Tensor]:
    """Joins tokens as the layout says: `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` where a row has a second text.

    Args:
      layout: of special tokens and segments.
      a: token ids int32 [N, (tokens)].
      b: token ids int32 [N, (tokens)]; empty rows where there is no second text.
      has_b: bool [N].
      max_seq_length: most tokens a row, special ones included; the longer text loses tokens first.
      truncation: which tokens of a text that loses some are kept, as `processors.records.featurizer.kept_pieces`.

    Returns:
      `input_ids`, `input_mask`, `segment_ids`, int32 [N, longest row].
    """
    length_a, length_b = _lengths(a), _lengths(b) * tf.cast(has_b, tf.int32)
    budget = max_seq_length - tf.where(has_b, layout.specials_of_pair, layout.specials_alone)
    half = budget // 2
    fits = length_a + length_b <= budget
    keep_a = tf.where(fits, length_a, tf.minimum(length_a, tf.maximum(budget - length_b, budget - half)))
    keep_b = tf.where(fits, length_b, tf.minimum(length_b, tf.maximum(budget - length_a, half)))
    keep_a = tf.where(has_b, keep_a, tf.minimum(length_a, budget))
    second_start = layout.second_start(keep_a)
    length = tf.reduce_max(tf.where(has_b, second_start + keep_b + 1, keep_a + layout.specials_alone))
    position = tf.range(length)[tf.newaxis, :]
    ids_a = _gather(a, _places(position - 1, length_a, keep_a, truncation))
    ids_b = _gather(b, _places(position - _column(second_start), length_b, keep_b, truncation))
    return layout.join_in_graph(ids_a, ids_b, keep_a, keep_b, has_b)


def _lengths(tokens: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(tokens.row_lengths(), tf.int32)


def _places(kept: tf.Tensor, length: tf.Tensor, keep: tf.Tensor, truncation: str) -> tf.Tensor:
    """Places in the text of tokens counted among those kept [N, S]; `length` and `keep` are int32 [N]."""
    if truncation == HEAD:
        return kept
    behind_the_gap = kept + _column(length - keep)
    if truncation == TAIL:
        return behind_the_gap
    return tf.where(kept < _column(tf.maximum(keep // HEAD_SHARE, 1)), kept, behind_the_gap)


def _gather(pieces: tf.RaggedTensor, positions: tf.Tensor) -> tf.Tensor:
    """Row-wise look-up [N, S]; any id where the position lies outside the row (the caller masks it)."""
    starts = tf.cast(pieces.row_starts(), tf.int32)[:, tf.newaxis]
    # One spare element keeps the look-up valid when no row has a token.
    flat = tf.concat([tf.cast(pieces.flat_values, tf.int32), [0]], axis=0)
    return tf.gather(flat, tf.clip_by_value(starts + positions, 0, tf.size(flat) - 1))


def _column(values: tf.Tensor) -> tf.Tensor:
    return values[:, tf.newaxis]
