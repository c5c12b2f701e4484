"""`SentencePieceTokenizer` as TensorFlow operations.

    texts -> code points -> decomposed, without accents -> (final sigmas) -> lower case -> tokens -> numbers split

Shapes: N texts, T code points of all texts (flat).
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from processors.graph.code_points import Expansions, sigma_classes, tabulated
from processors.graph.text_operations import expand, has_capital_sigma, look_up, with_final_sigmas
from tokenization.base import Tokenizer
from tokenization.sentencepiece import SentencePieceTokenizer

_FORM: Final = "NFKD"


class GraphSentencePiece:
    """Gives the ids that `SentencePieceTokenizer` gives, in a graph.

    Args:
      model: content of the model's file.
      do_lower_case: as of the tokenizer.
      split: for each id, the ids in its place: more than one where a token ends in a digit and a comma.

    Differs from it in one thing: the 66 non-characters (U+FFFF and the like) are dropped, since TensorFlow takes them
    for invalid bytes.
    """

    def __init__(self, model: bytes, do_lower_case: bool, split: Sequence[Sequence[int]]) -> None:
        self._model = model
        self._decomposed = _decompositions()
        self._lower = _lower_case() if do_lower_case else None
        self._sigma_classes = sigma_classes() if do_lower_case else None
        self._split_values = np.array([index for row in split for index in row], np.int32)
        self._split_starts = np.concatenate([[0], np.cumsum([len(row) for row in split])]).astype(np.int64)
        self._operation: tf_text.SentencepieceTokenizer | None = None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "GraphSentencePiece":
        """The form of a tokenizer of this kind."""
        own = cast(SentencePieceTokenizer, tokenizer)
        return cls(own.model, own.do_lower_case, [own.with_numbers_split([index]) for index in range(len(own.tokens))])

    def prepared(self) -> list[tf_text.SentencepieceTokenizer]:
        """Loads the model outside of functions, whose graphs then share it: what has to be saved along with them."""
        self._operation = self._loaded()
        return [self._operation]

    def _loaded(self) -> tf_text.SentencepieceTokenizer:
        return tf_text.SentencepieceTokenizer(model=self._model, out_type=tf.int32)

    def __call__(self, texts: tf.Tensor, words: tf.Tensor | None = None) -> tf.RaggedTensor:
        """Cut texts into tokens.

        Args:
          texts: string [N], UTF-8; invalid bytes are dropped.
          words: string [M]; none by default.

        Returns:
          int32 [N + M, (tokens)] ids, without "[CLS]" and "[SEP]".
        """
        texts = texts if words is None else tf.concat([texts, words], axis=0)
        # Strings live in the host's memory: on a GPU each of the many small steps would be a copy there and back.
        with tf.device("/cpu:0"):
            normal = self._normalized(tf.strings.unicode_decode(texts, "UTF-8", errors="ignore"))
            pieces = self._operation or self._loaded()
            ids = pieces.tokenize(tf.strings.unicode_encode(normal, "UTF-8"))
            rows = tf.RaggedTensor.from_row_splits(self._split_values, self._split_starts, validate=False)
            split = tf.gather(rows, ids.values)
            return tf.RaggedTensor.from_row_splits(
                split.values, tf.gather(split.row_splits, tf.cast(ids.row_splits, tf.int64)), validate=False
            )

    def _normalized(self, codes: tf.RaggedTensor) -> tf.RaggedTensor:
        """Decomposed, without accents, and lower-cased; the model itself takes blanks in a row for one."""
        codes = expand(self._decomposed, codes)
        if self._lower is None or self._sigma_classes is None:
            return codes
        classes = self._sigma_classes
        flat = tf.cond(
            has_capital_sigma(codes),
            lambda: with_final_sigmas(codes, look_up(classes, codes.values)),
            lambda: codes.values,
        )
        return expand(self._lower, codes.with_values(flat))


@functools.cache
def _decompositions() -> Expansions:
    return tabulated(_decomposed, _FORM)


@functools.cache
def _lower_case() -> Expansions:
    return tabulated(lambda code: chr(code).lower(), _FORM)


def _decomposed(code: int) -> str:
    """What a character becomes before it is lower-cased."""
    char = chr(code)
    if char.isspace():
        return " "
    return "".join(c for c in unicodedata.normalize(_FORM, char) if not unicodedata.combining(c))
