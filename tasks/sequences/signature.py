"""Raw text in, written text out, in the graph: the text signature of the export.

Shapes: N sources, n texts of each, U tokens of the longest.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from processors.base import InputExample
from processors.graph.natural_text import natural_text
from processors.graph.pairs import pack_pairs
from processors.graph.parity_texts import PARITY_TEXTS, long_texts
from processors.graph.tokenizer import in_graph
from processors.records.featurizer import HEAD
from processors.records.pair_layout import PairLayout
from tasks.base import TextSignature
from tasks.sequences.answers import LOG_PROBABILITIES, TEXT, TEXTS
from tokenization.base import Tokenizer


class SequenceTextSignature(TextSignature):
    """`source` `[N]` -> the texts that are written of it.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens of a source.
      truncation: which tokens of longer sources are kept.
    """

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int, truncation: str = HEAD) -> None:
        super().__init__(tokenizer)
        self._max_seq_length, self._truncation = max_seq_length, truncation

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "SequenceTextSignature":
        """As `TextSignature.of_export`."""
        del assets
        return cls(tokenizer, settings["max_seq_length"], settings["truncation"])

    def inputs(self) -> dict[str, tf.Tensor]:
        """A placeholder."""
        return {"source": tf.compat.v1.placeholder(tf.string, [None], "source")}

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Sources of one text each."""
        pieces = in_graph(self.tokenizer)(inputs["source"])
        nothing = tf.zeros(tf.shape(inputs["source"]), tf.bool)
        layout = PairLayout.of(self.tokenizer)
        return pack_pairs(layout, pieces, pieces, nothing, self._max_seq_length, self._truncation)

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`text` string `[N]`; `texts` string and `log_probabilities` float32 `[N, n]`, best first."""
        ids = predictions["ids"]
        with tf.device("/cpu:0"):
            texts = tf.reshape(self._texts(tf.reshape(ids, [-1, tf.shape(ids)[2]])), tf.shape(ids)[:2])
        return {TEXT: texts[:, 0], TEXTS: texts, LOG_PROBABILITIES: predictions["log_probabilities"]}

    def _texts(self, ids: tf.Tensor) -> tf.Tensor:
        """Texts string `[R]` of tokens int32 `[R, U]`, each up to the one that ends it, or fills it up."""
        special = self.tokenizer.special_ids
        goes_on = tf.not_equal(ids, special.sep) & tf.not_equal(ids, special.pad)
        is_kept = tf.equal(tf.math.cumprod(tf.cast(goes_on, tf.int32), axis=1), 1)
        tokens = tf.gather(tf.constant(list(self.tokenizer.tokens)), ids)
        return natural_text(tf.ragged.boolean_mask(tokens, is_kept))

    def parity_examples(self) -> tuple[dict[str, list[str]], list[InputExample]]:
        """Every difficult text, and those that are too long."""
        texts = [*PARITY_TEXTS, *long_texts(self._max_seq_length)]
        return {"source": texts}, [InputExample(f"parity-{index}", text) for index, text in enumerate(texts)]

    def settings(self) -> dict[str, Any]:
        """Length, which tokens of long sources are read, problem type, and the name of the input."""
        return {
            "max_seq_length": self._max_seq_length,
            "truncation": self._truncation,
            "problem_type": "sequences",
            "inputs": ["source"],
        }
