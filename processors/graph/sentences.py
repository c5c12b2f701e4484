"""Texts -> words and windows of whole words in the graph, as `processors.entities` makes them on the host.

Shapes: N texts, P words of all texts (flat), V windows of all texts, W words of the longest window.
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from processors.entities.sentence import ALONE, BLANK, PART, kind_of
from processors.graph.code_points import BARRIER_CODE, BLOCK_SIZE, BlockArray
from processors.graph.pairs import pack_pairs
from processors.graph.text_operations import look_up
from processors.graph.tokenizer import in_graph
from processors.records.pair_layout import PairLayout
from tokenization.base import Tokenizer

_FURTHER = 0x30000
"""From here on no code point is whitespace, punctuation or a Chinese character that stands alone."""


class GraphWords(NamedTuple):
    """The words of texts: string `[N, (words)]`; the characters that each starts at and ends before, int32 `[P]`."""

    words: tf.RaggedTensor
    starts: tf.Tensor
    ends: tf.Tensor


class GraphWindows(NamedTuple):
    """Windows of words.

    `features` are `input_ids`, `input_mask`, `segment_ids` int32 `[V, S]` and `word_starts` int32 `[V, W]`; `owners`
    and `places` int32 `[P]` say for each word which window answers for it, and which of its words it is.
    """

    features: dict[str, tf.Tensor]
    owners: tf.Tensor
    places: tf.Tensor


class _Cut(NamedTuple):
    """Windows: int32 `[V]`, first word of each and the word behind its last, both counted over all texts."""

    starts: tf.Tensor
    ends: tf.Tensor


def split_words(texts: tf.Tensor, by_character: bool) -> GraphWords:
    """`processors.entities.sentence.split_words` of texts, string `[N]` of valid UTF-8."""
    codes = tf.strings.unicode_decode(texts, "UTF-8")
    rows = codes.value_rowids()
    kinds = look_up(_kinds(by_character), codes.values)
    is_first = tf.not_equal(rows, tf.concat([[-1], rows[:-1]], axis=0))
    kinds_before = tf.where(is_first, BLANK, tf.concat([[BLANK], kinds[:-1]], axis=0))
    continues = tf.equal(kinds, PART) & tf.equal(kinds_before, PART)
    is_kept = tf.not_equal(kinds, BLANK)
    begins = is_kept & ~continues
    positions = tf.range(tf.size(rows)) - tf.cast(tf.gather(codes.row_starts(), rows), tf.int32)
    starts = tf.boolean_mask(positions, begins)
    word_of = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int64)) - 1, is_kept)
    count = tf.size(starts, out_type=tf.int64)
    spelled = tf.RaggedTensor.from_value_rowids(tf.boolean_mask(codes.values, is_kept), word_of, nrows=count)
    words = tf.strings.unicode_encode(spelled, "UTF-8")
    by_text = tf.RaggedTensor.from_value_rowids(words, tf.boolean_mask(rows, begins), nrows=codes.nrows())
    return GraphWords(by_text, starts, starts + tf.cast(spelled.row_lengths(), tf.int32))


def join_words(tokens: tf.Tensor, between: str) -> tuple[tf.Tensor, GraphWords]:
    """Texts of words that are given: string `[N]`, joined by `between`, and their words.

    Args:
      tokens: string `[N, W]` of valid UTF-8, rows filled up with "" behind their last word.
      between: what parts words.
    """
    words = tf.RaggedTensor.from_tensor(tokens, padding="")
    texts = tf.strings.reduce_join(words, axis=1, separator=between)
    lengths = tf.strings.length(words.values, unit="UTF8_CHAR")
    before = tf.cumsum(lengths + len(between), exclusive=True)
    starts = before - tf.gather(tf.gather(tf.concat([before, [0]], axis=0), words.row_starts()), words.value_rowids())
    return texts, GraphWords(words, starts, starts + lengths)


@functools.cache
def _kinds(by_character: bool) -> BlockArray:
    kinds = np.full(BARRIER_CODE + BLOCK_SIZE, ALONE if by_character else PART, np.int32)
    kinds[:_FURTHER] = [kind_of(chr(code), by_character) for code in range(_FURTHER)]
    return BlockArray.compress(kinds)


def make_windows(tokenizer: Tokenizer, words: tf.RaggedTensor, max_seq_length: int, overlap: int) -> GraphWindows:
    """`processors.entities.featurizer.SentenceFeaturizer` in the graph; a text without words has one window of none.

    Args:
      tokenizer: of the model.
      words: string `[N, (words)]`.
      max_seq_length: most tokens a window, special ones included.
      overlap: tokens that neighbouring windows share.
    """
    layout = PairLayout.of(tokenizer)
    capacity = max_seq_length - layout.specials_alone
    tokens = _tokens(tokenizer, words.values)[:, :capacity]
    lengths = tf.cast(tokens.row_lengths(), tf.int32)
    before = tf.concat([[0], tf.cumsum(lengths)], axis=0)  # [P + 1]: tokens in front of each word
    cut = _cut_windows(lengths, before, tf.cast(words.row_splits, tf.int32), capacity, overlap)
    in_window = tf.ragged.range(cut.starts, cut.ends)  # [V, (words)]
    first, last = tf.gather(before, cut.starts), tf.gather(before, cut.ends)
    places = tf.ragged.range(first, last)
    flat = tf.concat([tokens.values, [0]], axis=0)
    parts = places.with_values(tf.gather(flat, places.values))
    alone = tf.zeros_like(cut.starts, tf.bool)
    features = pack_pairs(layout, parts, parts[:, :0], alone, max_seq_length)
    window_of = in_window.value_rowids()
    left = tf.gather(before, in_window.values) - tf.gather(first, window_of)
    # At least one place for a word: there may be none in all texts.
    word_starts = in_window.with_values(1 + left).to_tensor()
    features["word_starts"] = tf.pad(word_starts, [[0, 0], [0, tf.maximum(1 - tf.shape(word_starts)[1], 0)]])
    total = tf.gather(last - first, window_of)
    context = tf.minimum(left, total - left - tf.gather(lengths, in_window.values))
    owners = _owners(in_window, context * (capacity + 1) + total, tf.size(lengths))
    return GraphWindows(features, owners, tf.range(tf.size(lengths)) - tf.gather(cut.starts, owners))


def _tokens(tokenizer: Tokenizer, words: tf.Tensor) -> tf.RaggedTensor:
    """Ids of the tokens of words `[P, (tokens)]`; the unknown token where nothing is left of a word."""
    tokens = in_graph(tokenizer)(tf.zeros([0], tf.string), words)
    is_empty = tf.cast(tf.equal(tokens.row_lengths(), 0), tf.int64)
    unknown = tf.fill([tf.reduce_sum(is_empty)], tokenizer.special_ids.unk)
    instead = tf.RaggedTensor.from_row_lengths(unknown, is_empty, validate=False)
    return tf.concat([tokens, instead], axis=1)


def _cut_windows(lengths: tf.Tensor, before: tf.Tensor, splits: tf.Tensor, capacity: int, overlap: int) -> _Cut:
    """`processors.entities.windows.cut_windows` of all texts, a window of each at a time."""
    stops = splits[1:]  # [N]
    padded = tf.concat([lengths, [0]], axis=0)

    def a_window(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The end of the windows that start at `start`, and where the next ones start; both `[N]`."""
        most = tf.gather(before, start) + capacity
        end = tf.minimum(tf.searchsorted(before, most, side="right") - 1, stops)
        room = tf.minimum(overlap, capacity - tf.gather(padded, end))
        following = tf.searchsorted(before, tf.gather(before, end) - room, side="left")
        return end, tf.maximum(following, start + 1)

    def step(
        index: tf.Tensor, start: tf.Tensor, is_there: tf.Tensor, found: tuple[tf.TensorArray, ...]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tuple[tf.TensorArray, ...]]:
        end, following = a_window(start)
        found = tuple(array.write(index, value) for array, value in zip(found, (start, end, is_there), strict=True))
        goes_on = is_there & (end < stops)
        return index + 1, tf.where(goes_on, following, start), goes_on, found

    arrays = tuple(tf.TensorArray(dtype, 0, dynamic_size=True) for dtype in (tf.int32, tf.int32, tf.bool))
    state = (tf.constant(0), splits[:-1], tf.ones_like(stops, tf.bool), arrays)
    _, _, _, (starts, ends, are_there) = tf.while_loop(
        lambda index, start, is_there, found: tf.equal(index, 0) | tf.reduce_any(is_there), step, state
    )
    starts, ends, are_there = (tf.transpose(array.stack()) for array in (starts, ends, are_there))  # [N, most windows]
    return _Cut(tf.boolean_mask(starts, are_there), tf.boolean_mask(ends, are_there))


def _owners(in_window: tf.RaggedTensor, scores: tf.Tensor, num_words: tf.Tensor) -> tf.Tensor:
    """The first window of those in which a word has the highest score `[P]`; one score for each value."""
    words, window_of = in_window.values, tf.cast(in_window.value_rowids(), tf.int32)
    best = tf.math.unsorted_segment_max(scores, words, num_words)
    none = tf.cast(in_window.nrows(), tf.int32)
    candidates = tf.where(tf.equal(scores, tf.gather(best, words)), window_of, none)
    return tf.math.unsorted_segment_min(candidates, words, num_words)
