"""WordPiece as TensorFlow operations: for exported models, and for `tf.data` pipelines.

    texts -> code points -> (final sigmas) -> expanded code points -> (marks in order) -> words -> pieces

Steps in brackets run only where a text has such characters. What a code point becomes comes from tables made from the
Python specification, so that both stay one.

Shapes: N texts, T code points of all texts (flat), W words of all texts (flat).
"""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_text as tf_text

from processors.graph.code_points import (
    BARRIER,
    BARRIER_BIT,
    BARRIER_CODE,
    COMBINING_CLASS_SHIFT,
    REORDERED_BIT,
    SIGMA_CLASS_MASK,
    BlockArray,
    expansions,
    neighbour_properties,
)
from processors.graph.text_operations import expand, has_capital_sigma, look_up, with_final_sigmas
from tokenization.base import Tokenizer
from tokenization.wordpiece.longest_match import longest_word

_MOST_BYTES = 4
"""Of a character."""


class GraphTokenizer:
    """Gives the ids that `FullTokenizer` gives, in a graph.

    Args:
      vocab: token to id.
      do_lower_case: lower-case, as the vocabulary's model was trained; default True.
      strip_accents: drop accents; default None, which does so where text is lower-cased.
      tokenize_chinese_chars: make each CJK character a word; default True.

    Differs from it in one thing: a word with one of the 66 non-characters (U+FFFF and the like) is unknown even where
    the vocabulary has them, since TensorFlow encodes them as U+FFFD.

    Making the first one with its settings and each call take about a second, and a call adds about 2.5 MB to its graph:
    concatenate batches of texts rather than call twice. Programs that load a SavedModel with it have to import
    `tensorflow_text`.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
    ) -> None:
        by_id = {index: token for token, index in vocab.items()}
        # An id without a token is that of a line whose token is repeated further on. The specification drops U+FFFD and
        # matches no empty token: neither may here, and no word has a blank inside.
        tokens = [by_id.get(index, "") for index in range(max(by_id) + 1)]
        self._pieces = [
            token if token and "\ufffd" not in token else f"blank {index}" for index, token in enumerate(tokens)
        ]
        self._lowers, strips = do_lower_case, do_lower_case if strip_accents is None else strip_accents
        self._longest_word = longest_word(tokenize_chinese_chars)
        self._expansions = expansions(do_lower_case, strips, tokenize_chinese_chars)
        # Without either nothing depends on context.
        self._properties = neighbour_properties(do_lower_case, strips) if do_lower_case or strips else None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "GraphTokenizer":
        """The form in a graph of a WordPiece tokenizer."""
        return cls(tokenizer.vocab, tokenizer.do_lower_case, tokenizer.strip_accents, tokenizer.tokenize_chinese_chars)

    def __call__(self, texts: tf.Tensor, words: tf.Tensor | None = None) -> tf.RaggedTensor:
        """Cut texts into pieces.

        Args:
          texts: string [N], UTF-8; invalid bytes are dropped.
          words: string [M], whose pieces do not depend on what stands around them; none by default.

        Returns:
          int32 [N + M, (pieces)] ids, without "[CLS]" and "[SEP]".
        """
        texts = texts if words is None else tf.concat([texts, words], axis=0)
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
        most_bytes = _MOST_BYTES * self._longest_word
        tokenizer = tf_text.FastWordpieceTokenizer(
            vocab=self._pieces,
            max_bytes_per_word=most_bytes,
            token_out_type=tf.int32,
            no_pretokenization=True,
        )
        is_long = tf.strings.length(words, unit="UTF8_CHAR") > self._longest_word
        # Another word stands in for those of too many characters: the op limits words by bytes, not characters.
        return tokenizer.tokenize(tf.where(is_long, "x" * (most_bytes + 1), words))

    def _normalize(self, codes: tf.RaggedTensor, properties: BlockArray) -> tf.RaggedTensor:
        """Expand code points [N, (T)] with what depends on their neighbours."""
        props = look_up(properties, codes.values)
        if self._lowers:
            flat = tf.cond(
                has_capital_sigma(codes),
                lambda: with_final_sigmas(codes, tf.bitwise.bitwise_and(props, SIGMA_CLASS_MASK)),
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
        return expand(self._expansions, codes)

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


def _has_bit(props: tf.Tensor, bit: int) -> tf.Tensor:
    return tf.not_equal(tf.bitwise.bitwise_and(props, bit), 0)


def _parts(ragged: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    return ragged.values, ragged.row_splits
