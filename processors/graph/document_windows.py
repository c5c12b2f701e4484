"""Texts and pairs in windows, as `TextFeaturizer` makes them with `DocumentWindows`, in the graph.

Shapes: N documents, V windows of all documents, W windows of the document with most, T tokens of its longest row.
"""

from typing import NamedTuple

import tensorflow as tf

from processors.graph.pairs import pack_pairs
from processors.records.document_windows import DocumentWindows
from processors.records.pair_layout import PairLayout


class _Plan(NamedTuple):
    """`WindowPlan` of all documents, int32 or bool `[N]`; `length` is of the text in windows."""

    is_second: tf.Tensor
    kept: tf.Tensor
    room: tf.Tensor
    stride: tf.Tensor
    num_windows: tf.Tensor
    length: tf.Tensor


def pack_documents(
    layout: PairLayout[int],
    a: tf.RaggedTensor,
    b: tf.RaggedTensor,
    has_b: tf.Tensor,
    max_seq_length: int,
    windows: DocumentWindows,
) -> dict[str, tf.Tensor]:
    """The windows of texts and pairs, those of a document one after the other in its row.

    Args:
      layout: of special tokens and segments.
      a: token ids int32 `[N, (tokens)]`.
      b: token ids int32 `[N, (tokens)]`; empty rows where there is no second text.
      has_b: bool `[N]`.
      max_seq_length: most tokens a window, special ones included.
      windows: how documents are cut.

    Returns:
      `input_ids`, `input_mask`, `segment_ids` int32 `[N, T]`, and `window_lengths` int32 `[N, W]`, 0 behind the last.
    """
    plan = _plan(layout, a, b, has_b, max_seq_length, windows)
    rows = tf.repeat(tf.range(tf.size(plan.num_windows)), plan.num_windows)  # [V]
    number = tf.range(tf.size(rows)) - tf.gather(tf.cumsum(plan.num_windows, exclusive=True), rows)
    is_second, kept, room, stride, _, length = (tf.gather(values, rows) for values in plan)
    start = number * stride
    size = tf.minimum(room, length - start)
    nothing = tf.zeros_like(start)
    part_a = _part(a, rows, tf.where(is_second, nothing, start), tf.where(is_second, kept, size))
    part_b = _part(b, rows, tf.where(is_second, start, nothing), tf.where(is_second, size, kept))
    packed = pack_pairs(layout, part_a, part_b, tf.gather(has_b, rows), max_seq_length)
    return _in_rows(packed, rows, plan.num_windows, layout.pad)


def _plan(
    layout: PairLayout[int],
    a: tf.RaggedTensor,
    b: tf.RaggedTensor,
    has_b: tf.Tensor,
    max_seq_length: int,
    windows: DocumentWindows,
) -> _Plan:
    length_a = tf.cast(a.row_lengths(), tf.int32)
    length_b = tf.cast(b.row_lengths(), tf.int32) * tf.cast(has_b, tf.int32)
    budget = max_seq_length - tf.where(has_b, layout.specials_of_pair, layout.specials_alone)
    length = tf.maximum(length_a, length_b)
    kept = tf.minimum(tf.minimum(length_a, length_b), budget // 2)
    room = budget - kept
    stride = tf.maximum(room // 2, 1) if windows.doc_stride is None else tf.minimum(windows.doc_stride, room)
    count = 1 + tf.maximum(length - room + stride - 1, 0) // stride
    if windows.max_windows is not None:
        count = tf.minimum(count, windows.max_windows)
    return _Plan(length_b > length_a, kept, room, stride, count, length)


def _part(tokens: tf.RaggedTensor, rows: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.RaggedTensor:
    """`size` tokens of each row in `rows` from `start` on, int32 `[V, (size)]`."""
    first = tf.gather(tf.cast(tokens.row_starts(), tf.int32), rows) + start
    places = tf.ragged.range(first, first + size)
    return places.with_values(tf.gather(tokens.flat_values, places.values))


def _in_rows(packed: dict[str, tf.Tensor], rows: tf.Tensor, counts: tf.Tensor, pad: int) -> dict[str, tf.Tensor]:
    """Windows `[V, S]`, without their padding, in the rows of their documents."""
    is_token = packed["input_mask"] > 0
    lengths = tf.reduce_sum(packed["input_mask"], axis=1)  # [V]
    documents = tf.size(counts)
    of_rows = tf.math.unsorted_segment_sum(lengths, rows, documents)

    def in_rows(values: tf.Tensor, row_lengths: tf.Tensor, padding: int) -> tf.Tensor:
        return tf.RaggedTensor.from_row_lengths(values, row_lengths, validate=False).to_tensor(padding)

    padding = {"input_ids": pad, "input_mask": 0, "segment_ids": 0}
    made = {name: in_rows(tf.boolean_mask(packed[name], is_token), of_rows, padding[name]) for name in padding}
    return {**made, "window_lengths": in_rows(lengths, counts, 0)}
