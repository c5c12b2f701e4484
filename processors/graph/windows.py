"""`SpanFeaturizer` in the graph: questions and contexts -> the encoder's inputs, and where each piece comes from.

Shapes: N questions, W windows of all questions, P pieces of all contexts (flat).
"""

import dataclasses
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from processors.graph.pairs import pack_pairs
from processors.graph.tokenizer import in_graph
from processors.records.pair_layout import PairLayout
from tokenization.base import Tokenizer
from tokenization.characters import CJK_RANGES

_SPACE = r"[ \t\r\n\x{202f}]"
_CJK = "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in CJK_RANGES) + "]"
_NUL = "\ufdd0"
_UNKNOWN_LENGTH = 1 << 20
"""Length of `[UNK]`, whose characters are not known: no word is as long."""


@dataclasses.dataclass(frozen=True)
class GraphContexts:
    """Contexts in pieces, and the characters (code points of the context) that each piece stands for.

    Args:
      ids: int32 [N, (pieces)].
      starts: int32 [P], first character.
      ends: int32 [P], the character after the last.
    """

    ids: tf.RaggedTensor
    starts: tf.Tensor
    ends: tf.Tensor


@dataclasses.dataclass(frozen=True)
class GraphWindows:
    """Windows of all questions.

    Args:
      rows: int32 [W], the question of each window.
      counts: int64 [N], windows of each question, at least one.
      offsets: int32 [W], position of the first piece of the context.
      pieces: int32 [W, (length)], index into the flat pieces of each piece in a window.
      is_max_context: bool, one for each value of `pieces`: whether no other window shows it with more context.
      features: `input_ids`, `input_mask`, `segment_ids` int32 [W, longest window].
    """

    rows: tf.Tensor
    counts: tf.Tensor
    offsets: tf.Tensor
    pieces: tf.RaggedTensor
    is_max_context: tf.Tensor
    features: dict[str, tf.Tensor]


def tokenize(tokenizer: Tokenizer, questions: tf.Tensor, contexts: tf.Tensor) -> tuple[tf.RaggedTensor, GraphContexts]:
    """Cuts questions and contexts (string [N]) into pieces, in one pass of the tokenizer.

    Args:
      tokenizer: of the model.
      questions: texts.
      contexts: texts; words are tokenized apart, as the featurizer does.

    Returns:
      Question pieces int32 [N, (pieces)], and the contexts.
    """
    words, word_starts = split_words(contexts)
    rows = tf.size(questions)
    pieces = in_graph(tokenizer)(questions, words.values)
    by_word = pieces[rows:]
    ids = tf.RaggedTensor.from_row_splits(
        by_word.values, tf.gather(by_word.row_splits, words.row_splits), validate=False
    )
    starts, ends = _piece_characters(tokenizer, by_word, words.values, word_starts)
    return pieces[:rows], GraphContexts(ids, starts, ends)


def split_words(contexts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """The words of a `Passage`: string [N, (words)], and the character that each starts with, int32 [words of all]."""
    # Blanks are kept at first: then the parts tile the text, and their lengths add up to offsets.
    delimiter = f"{_SPACE}|{_CJK}"
    # The operation takes NUL for the end of a text; a non-character, which no valid text holds, stands in for it.
    contexts = tf.strings.regex_replace(contexts, r"\x00", _NUL)
    parts, _, _ = tf_text.regex_split_with_offsets(contexts, delimiter, delimiter)
    lengths = parts.with_values(tf.strings.length(parts.values, unit="UTF8_CHAR"))
    flat_starts = tf.cumsum(lengths.values, exclusive=True)
    padded = tf.concat([flat_starts, [0]], axis=0)
    starts = flat_starts - tf.gather(tf.gather(padded, parts.row_starts()), parts.value_rowids())
    is_word = ~tf.strings.regex_full_match(parts.values, _SPACE) & (lengths.values > 0)
    words = tf.ragged.boolean_mask(parts, parts.with_values(is_word))
    return words.with_values(tf.strings.regex_replace(words.values, _NUL, "\x00")), tf.boolean_mask(starts, is_word)


def _piece_characters(
    tokenizer: Tokenizer, pieces: tf.RaggedTensor, words: tf.Tensor, word_starts: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Characters of each piece [P]; those of the whole word where normalising it has changed its length."""
    lengths = tf.gather(tf.constant(_piece_lengths(tokenizer)), pieces.values)
    before = tf.cumsum(lengths, exclusive=True)
    word_of = pieces.value_rowids()
    padded = tf.concat([before, [0]], axis=0)
    start = before - tf.gather(tf.gather(padded, pieces.row_starts()), word_of)
    word_length = tf.strings.length(words, unit="UTF8_CHAR")
    total = tf.math.unsorted_segment_sum(lengths, word_of, tf.size(words, out_type=tf.int64))
    as_long = tf.gather(tf.equal(total, word_length), word_of)
    origin = tf.gather(word_starts, word_of)
    starts = origin + tf.where(as_long, start, 0)
    # A token without letters is given the next one.
    ends = origin + tf.where(as_long, start + tf.maximum(lengths, 1), tf.gather(word_length, word_of))
    return starts, ends


def _piece_lengths(tokenizer: Tokenizer) -> list[int]:
    """Characters that each token stands for, by id."""
    lengths = [len(tokenizer.letters(token)) for token in tokenizer.tokens]
    lengths[tokenizer.special_ids.unk] = _UNKNOWN_LENGTH
    return lengths


def make_windows(
    questions: tf.RaggedTensor, contexts: GraphContexts, settings: Any, layout: PairLayout[int]
) -> GraphWindows:
    """Windows over contexts; a context without pieces has one window without context.

    Args:
      questions: int32 [N, (pieces)].
      contexts: of the questions.
      settings: `max_seq_length`, `doc_stride`, `max_query_length`.
      layout: of special tokens and segments.
    """
    questions = questions[:, : settings.max_query_length]
    query_length = tf.cast(questions.row_lengths(), tf.int32)
    room = settings.max_seq_length - query_length - layout.specials_of_pair
    size = tf.cast(contexts.ids.row_lengths(), tf.int32)
    stride = settings.doc_stride
    counts = 1 + tf.maximum(size - room + stride - 1, 0) // stride
    rows = tf.repeat(tf.range(tf.size(counts)), counts)
    start = (tf.range(tf.size(rows)) - tf.gather(tf.cumsum(counts, exclusive=True), rows)) * stride
    length = tf.minimum(tf.gather(room, rows), tf.gather(size, rows) - start)
    first = tf.gather(tf.cast(contexts.ids.row_starts(), tf.int32), rows) + start
    pieces = tf.ragged.range(first, first + length)
    parts = pieces.with_values(tf.gather(contexts.ids.values, pieces.values))
    with_context = tf.ones_like(rows, tf.bool)
    features = pack_pairs(layout, tf.gather(questions, rows), parts, with_context, settings.max_seq_length)
    best = _is_max_context(pieces, tf.size(contexts.ids.values))
    offsets = layout.second_start(tf.gather(query_length, rows))
    return GraphWindows(rows, tf.cast(counts, tf.int64), offsets, pieces, best, features)


def _is_max_context(pieces: tf.RaggedTensor, num_pieces: tf.Tensor) -> tf.Tensor:
    """Whether each piece of each window has its most context there; the first of equals has it."""
    window = tf.cast(pieces.value_rowids(), tf.int32)
    left = tf.cast(tf.range(tf.size(window)) - tf.gather(tf.cast(pieces.row_starts(), tf.int32), window), tf.float64)
    length = tf.gather(tf.cast(pieces.row_lengths(), tf.float64), window)
    score = tf.minimum(left, length - 1 - left) + 0.01 * length
    best = tf.math.unsorted_segment_max(score, pieces.values, num_pieces)
    none = tf.size(window)  # more than any window's index
    candidate = tf.where(tf.equal(score, tf.gather(best, pieces.values)), window, none)
    owner = tf.math.unsorted_segment_min(candidate, pieces.values, num_pieces)
    return tf.equal(tf.gather(owner, pieces.values), window)
