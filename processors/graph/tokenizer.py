"""Tokenizers as TensorFlow operations, by the kind of the tokenizer."""

from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np
import tensorflow as tf

from common.errors import ExportError
from processors.graph.sentencepiece import GraphSentencePiece
from processors.graph.wordpiece import GraphTokenizer
from tokenization.base import Tokenizer


class InGraph(Protocol):
    """A tokenizer in a graph."""

    def __call__(self, texts: tf.Tensor, words: tf.Tensor | None = None) -> tf.RaggedTensor:
        """Cut texts, and words as they are behind a blank, into tokens.

        Args:
          texts: string [N].
          words: string [M]; none by default.

        Returns:
          int32 [N + M, (tokens)] ids, without special tokens.
        """


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
        f"{', '.join(kind for kind in IN_GRAPH if kind != _IN_PROCESS)}"
    )


def in_process(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, whose form in a graph calls it in this process: for graphs that are run and not saved."""
    return cast(Tokenizer, _InProcess(tokenizer))


_IN_PROCESS = "in_process"


class _InProcess:
    """Another tokenizer in all but its kind."""

    kind = _IN_PROCESS

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


class _Calls:
    """The form in a graph of a tokenizer of this process.

    Args:
      tokenizer: any.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, texts: tf.Tensor, words: tf.Tensor | None = None) -> tf.RaggedTensor:
        words = tf.zeros([0], tf.string) if words is None else words
        ids, lengths = tf.numpy_function(self._encoded, [texts, words], [tf.int32, tf.int64])
        return tf.RaggedTensor.from_row_lengths(tf.ensure_shape(ids, [None]), tf.ensure_shape(lengths, [None]))

    def _encoded(self, texts: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ids one after the other, and how many each text and each word has."""
        rows = self._tokenizer.encode(_decoded(texts)) + self._tokenizer.encode_words(_decoded(words))
        ids = [index for row in rows for index in row]
        return np.array(ids, np.int32), np.array([len(row) for row in rows], np.int64)


def _decoded(texts: np.ndarray) -> list[str]:
    return [text.decode("utf-8", "ignore") for text in texts.tolist()]


IN_GRAPH: dict[str, Callable[[Tokenizer], InGraph]] = {
    "wordpiece": GraphTokenizer.of,
    "sentencepiece": GraphSentencePiece.of,
    _IN_PROCESS: _Calls,
}
"""Forms in a graph by the kind of the tokenizer."""
