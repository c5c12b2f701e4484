"""`PairFeaturizer` in the graph: pieces of one or two texts -> the encoder's inputs, for the raw-text signature."""

import tensorflow as tf

from processors.records.featurizer import HEAD, HEAD_SHARE, TAIL


def pack_pairs(
    a: tf.RaggedTensor,
    b: tf.RaggedTensor,
    has_b: tf.Tensor,
    max_seq_length: int,
    cls_id: int,
    sep_id: int,
    truncation: str = HEAD,
) -> dict[str, tf.Tensor]:
    """Joins pieces to `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` where a row has a second text.

    Args:
      a: piece ids int32 [N, (pieces)].
      b: piece ids int32 [N, (pieces)]; empty rows where there is no second text.
      has_b: bool [N].
      max_seq_length: most pieces a row, specials included; the longer text loses pieces first.
      cls_id: id of `[CLS]`.
      sep_id: id of `[SEP]`.
      truncation: which pieces of a text that loses some are kept, as `processors.records.featurizer.kept_pieces`.

    Returns:
      `input_ids`, `input_mask`, `segment_ids`, int32 [N, longest row].
    """
    second = tf.cast(has_b, tf.int32)
    length_a, length_b = _lengths(a), _lengths(b) * second
    budget = max_seq_length - 2 - second
    half = budget // 2
    fits = length_a + length_b <= budget
    keep_a = tf.where(fits, length_a, tf.minimum(length_a, tf.maximum(budget - length_b, budget - half)))
    keep_b = tf.where(fits, length_b, tf.minimum(length_b, tf.maximum(budget - length_a, half)))
    keep_a = tf.where(has_b, keep_a, tf.minimum(length_a, budget))
    first_part = keep_a + 2
    length = first_part + keep_b + second
    position = tf.range(tf.reduce_max(length))[tf.newaxis, :]
    ids_a = _gather(a, _places(position - 1, length_a, keep_a, truncation))
    ids_b = _gather(b, _places(position - _column(first_part), length_b, keep_b, truncation))
    # tf.equal, not ==: in a graph of the first kind == compares tensors by identity.
    is_separator = tf.equal(position, _column(keep_a) + 1) | tf.equal(position, _column(length) - 1)
    ids = tf.where(position < _column(first_part), ids_a, ids_b)
    ids = tf.where(is_separator, sep_id, ids)
    ids = tf.where(tf.equal(position, 0), cls_id, ids)
    mask = tf.cast(position < _column(length), tf.int32)
    segments = tf.cast(position >= _column(first_part), tf.int32) * mask
    return {"input_ids": ids * mask, "input_mask": mask, "segment_ids": segments}


def _lengths(pieces: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(pieces.row_lengths(), tf.int32)


def _places(kept: tf.Tensor, length: tf.Tensor, keep: tf.Tensor, truncation: str) -> tf.Tensor:
    """Places in the text of pieces counted among those kept [N, S]; `length` and `keep` are int32 [N]."""
    if truncation == HEAD:
        return kept
    behind_the_gap = kept + _column(length - keep)
    if truncation == TAIL:
        return behind_the_gap
    return tf.where(kept < _column(tf.maximum(keep // HEAD_SHARE, 1)), kept, behind_the_gap)


def _gather(pieces: tf.RaggedTensor, positions: tf.Tensor) -> tf.Tensor:
    """Row-wise look-up [N, S]; any id where the position lies outside the row (the caller masks it)."""
    starts = tf.cast(pieces.row_starts(), tf.int32)[:, tf.newaxis]
    # One spare element keeps the look-up valid when no row has a piece.
    flat = tf.concat([tf.cast(pieces.flat_values, tf.int32), [0]], axis=0)
    return tf.gather(flat, tf.clip_by_value(starts + positions, 0, tf.size(flat) - 1))


def _column(values: tf.Tensor) -> tf.Tensor:
    return values[:, tf.newaxis]
