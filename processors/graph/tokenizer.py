"""The tokenizer as TensorFlow operations: for exported models, and for `tf.data` pipelines.

    texts -> code points -> (final sigmas) -> expanded code points -> (marks in order) -> words -> pieces

Steps in brackets run only where a text has such characters. What a code point becomes comes from tables made from the
Python specification, so that both stay one.

Shapes: N texts, T code points of all texts (flat), W words of all texts (flat).
"""

from collections.abc import Callable, Mapping

import tensorflow as tf
import tensorflow_text as tf_text

from common.errors import ExportError
from processors.graph.code_points import (
    BARRIER,
    BARRIER_BIT,
    BARRIER_CODE,
    BLOCK_SIZE,
    CASED,
    COMBINING_CLASS_SHIFT,
    PLAIN,
    REORDERED_BIT,
    SELF,
    SIGMA_CLASS_MASK,
    BlockArray,
    expansions,
    neighbour_properties,
)
from tokenization.base import Tokenizer

_CAPITAL_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2
_MAX_CHARS_PER_WORD = 200
_MAX_BYTES_PER_WORD = 4 * _MAX_CHARS_PER_WORD
# Stands in for words of too many characters: the op limits words by bytes, not characters.
_LONG_WORD = "x" * (_MAX_BYTES_PER_WORD + 1)


InGraph = Callable[[tf.Tensor], tf.RaggedTensor]
"""Texts, string [N] -> ids of their tokens without special ones, int32 [N, (tokens)]."""


def in_graph(tokenizer: Tokenizer) -> InGraph:
    """The same tokenizer as operations of a graph.

    Raises:
      ExportError: there is no such form of its kind.
    """
    reason = why_not_in_graph(tokenizer)
    if reason is not None:
        raise ExportError(f"{reason}; tokenize outside of the graph")
    return IN_GRAPH[tokenizer.kind](tokenizer)


def why_not_in_graph(tokenizer: Tokenizer | None) -> str | None:
    """The reason why a tokenizer has no form in a graph; None where it has one, or there is no tokenizer."""
    if tokenizer is None or tokenizer.kind in IN_GRAPH:
        return None
    return (
        f"a {tokenizer.kind} tokenizer has no form in a graph, as TensorFlow has no operation for it; expected one of "
        f"{', '.join(IN_GRAPH)}"
    )


class GraphTokenizer:
    """Gives the ids that `FullTokenizer` gives, in a graph.

    Args:
      vocab: token to id.
      do_lower_case: lower-case and strip accents, as the vocabulary's model was trained; default True.

    Differs from it in one thing: a word with one of the 66 non-characters (U+FFFF and the like) is unknown even where
    the vocabulary has them, since TensorFlow encodes them as U+FFFD.

    Making one and calling it take about a second each, and a call adds about 2.5 MB to its graph: concatenate batches
    of texts rather than call twice. Programs that load a SavedModel with it have to import `tensorflow_text`.
    """

    def __init__(self, vocab: Mapping[str, int], do_lower_case: bool = True) -> None:
        by_id = {index: token for token, index in vocab.items()}
        # An id without a token is that of a line whose token is repeated further on. The specification drops U+FFFD and
        # matches no empty token: neither may here, and no word has a blank inside.
        tokens = [by_id.get(index, "") for index in range(max(by_id) + 1)]
        self._pieces = [
            token if token and "\ufffd" not in token else f"blank {index}" for index, token in enumerate(tokens)
        ]
        self._expansions = expansions(do_lower_case)
        # Without lower-casing nothing depends on context.
        self._properties = neighbour_properties() if do_lower_case else None

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Cut texts into pieces.

        Args:
          texts: string [N], UTF-8; invalid bytes are dropped.

        Returns:
          int32 [N, (pieces)] ids, without "[CLS]" and "[SEP]".
        """
        # Strings live in the host's memory: on a GPU each of the many small steps would be a copy there and back.
        with tf.device("/cpu:0"):
            return self._tokenize(texts)

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids of the pieces of texts [N]: int32 [N, (pieces)]."""
        # What is replaced becomes U+FFFD, which is dropped.
        codes = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        normal = self._expand(codes) if self._properties is None else self._normalize(codes, self._properties)
        words = tf.strings.split(tf.strings.unicode_encode(normal, "UTF-8"))
        pieces = self._wordpiece(words.values)
        return tf.RaggedTensor.from_row_splits(
            pieces.values, tf.gather(pieces.row_splits, words.row_splits), validate=False
        )

    def _wordpiece(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Ids of the pieces of words [W]: int32 [W, (pieces)]."""
        tokenizer = tf_text.FastWordpieceTokenizer(
            vocab=self._pieces,
            max_bytes_per_word=_MAX_BYTES_PER_WORD,
            token_out_type=tf.int32,
            no_pretokenization=True,
        )
        is_long = tf.strings.length(words, unit="UTF8_CHAR") > _MAX_CHARS_PER_WORD
        return tokenizer.tokenize(tf.where(is_long, _LONG_WORD, words))

    def _normalize(self, codes: tf.RaggedTensor, properties: BlockArray) -> tf.RaggedTensor:
        """Expand code points [N, (T)] with what depends on their neighbours."""
        props = look_up(properties, codes.values)
        flat = tf.cond(
            tf.reduce_any(tf.equal(codes.values, _CAPITAL_SIGMA)),
            lambda: _with_final_sigmas(codes, tf.bitwise.bitwise_and(props, SIGMA_CLASS_MASK)),
            lambda: codes.values,
        )
        codes = codes.with_values(flat)
        values, row_splits = tf.cond(
            tf.reduce_any(_has_bit(props, REORDERED_BIT)),
            lambda: _parts(self._expand_in_order(codes, _has_bit(props, BARRIER_BIT), properties)),
            lambda: _parts(self._expand(codes)),
        )
        return tf.RaggedTensor.from_row_splits(values, row_splits, validate=False)

    def _expand(self, codes: tf.RaggedTensor) -> tf.RaggedTensor:
        """Replace each code point by those that it becomes."""
        rows = tf.RaggedTensor.from_row_splits(self._expansions.values, self._expansions.row_splits, validate=False)
        expanded = tf.gather(rows, look_up(self._expansions.row_of, codes.values))  # [T, (expansion)]
        unchanged = tf.gather(codes.values, expanded.value_rowids())
        values = tf.where(tf.equal(expanded.values, SELF), unchanged, expanded.values)
        return tf.RaggedTensor.from_row_splits(values, tf.gather(expanded.row_splits, codes.row_splits), validate=False)

    def _expand_in_order(
        self, codes: tf.RaggedTensor, is_barrier: tf.Tensor, properties: BlockArray
    ) -> tf.RaggedTensor:
        """Expand, then sort each run of combining marks by their classes, as canonical ordering does.

        A run ends at a character of class 0. Some of these are dropped, so they are kept as barriers until after.
        """
        expanded = self._expand(codes.with_values(tf.where(is_barrier, BARRIER_CODE, codes.values)))
        props = look_up(properties, tf.maximum(expanded.values, 0))
        mark_class = tf.cast(tf.bitwise.right_shift(props, COMBINING_CLASS_SHIFT), tf.int64)
        # Texts are apart as runs are; adding the position makes the sort stable.
        run = tf.cumsum(tf.cast(tf.equal(mark_class, 0), tf.int64)) + expanded.value_rowids()
        count = tf.size(run, out_type=tf.int64)
        order = tf.argsort((run * 256 + mark_class) * count + tf.range(count))
        ordered = expanded.with_values(tf.gather(expanded.values, order))
        return tf.ragged.boolean_mask(ordered, tf.not_equal(ordered, BARRIER))


def _with_final_sigmas(codes: tf.RaggedTensor, sigma_class: tf.Tensor) -> tf.Tensor:
    """Replace capital sigmas at the ends of words by small final ones: [T].

    A sigma is final if the nearest character before it that is not case-ignorable is cased, and the nearest such one
    after it is not. Without the ignorable characters these are its neighbours.
    """
    is_kept = tf.logical_or(tf.equal(sigma_class, CASED), tf.equal(sigma_class, PLAIN))
    kept = tf.where(is_kept)[:, 0]
    text = tf.gather(codes.value_rowids(), kept)
    is_cased = tf.equal(tf.gather(sigma_class, kept), CASED)
    same_text = tf.equal(text[1:], text[:-1])
    follows_cased = tf.concat([[False], is_cased[:-1] & same_text], axis=0)
    precedes_cased = tf.concat([is_cased[1:] & same_text, [False]], axis=0)
    is_sigma = tf.equal(tf.gather(codes.values, kept), _CAPITAL_SIGMA)
    final = tf.boolean_mask(kept, is_sigma & follows_cased & ~precedes_cased)
    updates = tf.fill(tf.shape(final), _FINAL_SIGMA)
    return tf.tensor_scatter_nd_update(codes.values, final[:, tf.newaxis], updates)


def look_up(array: BlockArray, codes: tf.Tensor) -> tf.Tensor:
    """Values of an array over code points: [T]."""
    block = tf.gather(array.block_of, codes // BLOCK_SIZE)
    return tf.gather(array.values, block * BLOCK_SIZE + codes % BLOCK_SIZE)


def _has_bit(props: tf.Tensor, bit: int) -> tf.Tensor:
    return tf.not_equal(tf.bitwise.bitwise_and(props, bit), 0)


def _parts(ragged: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    return ragged.values, ragged.row_splits


IN_GRAPH: dict[str, Callable[[Tokenizer], InGraph]] = {
    "wordpiece": lambda tokenizer: GraphTokenizer(tokenizer.vocab, tokenizer.do_lower_case),
}
"""Forms in a graph by the kind of the tokenizer."""
