"""Text with [MASK] in, likeliest tokens out, in the graph: the text signature of the masked-language model's export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from processors.graph.pairs import pack_pairs
from processors.graph.parity_texts import PARITY_TEXTS
from processors.graph.tokenizer import in_graph
from processors.pretraining.masked_text import BEFORE_MASK
from processors.records.pair_layout import PairLayout
from processors.text_lines import TextLine
from tasks.base import TextSignature
from tokenization.base import Tokenizer


class MaskedTextSignature(TextSignature):
    """`text` [N] -> for each `[MASK]` in it the likeliest tokens and their probabilities.

    Args:
      tokenizer: of the model; its vocabulary has a token that masks.
      max_seq_length: most tokens of a text; a `[MASK]` beyond is not predicted.
    """

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int) -> None:
        super().__init__(tokenizer)
        self._mask = tokenizer.special_tokens.mask
        self._max_seq_length = max_seq_length
        self._num_masks: tf.Tensor | None = None

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "MaskedTextSignature":
        """As `TextSignature.of_export`."""
        del assets
        return cls(tokenizer, settings["max_seq_length"])

    def inputs(self) -> dict[str, tf.Tensor]:
        """Placeholder of the text."""
        return {"text": tf.compat.v1.placeholder(tf.string, [None], "text")}

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The encoder's inputs, and `masked_lm_positions` int32 [N, most masks of a text]."""
        mask_id = self.tokenizer.vocab[self._mask]
        texts = inputs["text"]
        pieces = self._pieces(texts, mask_id)
        nothing = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros_like(pieces.row_lengths()))
        alone = tf.zeros_like(texts, tf.bool)
        features = pack_pairs(PairLayout.of(self.tokenizer), pieces, nothing, alone, self._max_seq_length)
        # No text makes this id by itself, so it stands for a mask wherever it is.
        found = tf.where(tf.equal(features["input_ids"], mask_id))
        rows = tf.size(texts, out_type=tf.int64)
        positions = tf.RaggedTensor.from_value_rowids(tf.cast(found[:, 1], tf.int32), found[:, 0], nrows=rows)
        self._num_masks = tf.cast(positions.row_lengths(), tf.int32)
        return {**features, "masked_lm_positions": positions.to_tensor()}

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Predictions in the texts that `features` has read.

        Returns:
          `num_masks` int32 [N]; `pieces` string and `probabilities` float32 [N, most masks, K], likeliest first, empty
          and 0 beyond the masks of a text.
        """
        if self._num_masks is None:
            raise ValueError("features() comes before outputs()")
        tokens = self.tokenizer.tokens
        last = len(tokens) - 1
        ids, probabilities = predictions["top_ids"], predictions["top_probabilities"]
        is_real = tf.sequence_mask(self._num_masks, tf.shape(ids)[1])[:, :, tf.newaxis]
        # Embedding tables may have spare rows that stand for no token.
        spare = tf.strings.join(["[id ", tf.strings.as_string(ids), "]"])
        known = tf.where(ids <= last, tf.gather(tf.constant(tokens), tf.minimum(ids, last)), spare)
        return {
            "num_masks": self._num_masks,
            "pieces": tf.where(is_real, known, tf.constant("")),
            "probabilities": tf.where(is_real, probabilities, tf.zeros_like(probabilities)),
        }

    def parity_examples(self) -> tuple[dict[str, list[str]], list[TextLine]]:
        """Every parity text behind a mask, with a blank between them and without."""
        plain = [text.replace(self._mask, "") for text in PARITY_TEXTS]
        texts = [f"{self._mask}{blank}{text}" for blank in ("", " ") for text in plain]
        return {"text": texts}, [TextLine(f"parity-{i}", i, text) for i, text in enumerate(texts)]

    def settings(self) -> dict[str, Any]:
        """Length, problem type, and the name of the text."""
        return {
            "max_seq_length": self._max_seq_length,
            "problem_type": "masked_lm",
            "inputs": ["text"],
        }

    def _pieces(self, texts: tf.Tensor, mask_id: int) -> tf.RaggedTensor:
        """Token ids of each text, int32 [N, (tokens)]: what lies between its masks is tokenized by itself."""
        with tf.device("/cpu:0"):
            parts = tf.strings.split(texts, self._mask)
            # Only behind the last part of a text no mask takes the blanks in.
            is_last = tf.equal(tf.ragged.range(parts.row_lengths(), 0, -1).flat_values, 1)
            bare = tf.strings.regex_replace(parts.flat_values, f"[{BEFORE_MASK}]+$", "")
            pieces = in_graph(self.tokenizer)(tf.where(is_last, parts.flat_values, bare))
            is_first = tf.equal(tf.ragged.range(parts.row_lengths()).flat_values, 0)
            lengths = tf.where(is_first, 0, 1)
            masks = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(lengths)], mask_id), lengths)
            pieces = tf.RaggedTensor.from_row_splits(pieces.values, tf.cast(pieces.row_splits, tf.int64))
            masks = tf.RaggedTensor.from_row_splits(masks.values, tf.cast(masks.row_splits, tf.int64))
            joined = tf.concat([masks, pieces], axis=1)
            splits = tf.gather(joined.row_splits, tf.cast(parts.row_splits, tf.int64))
            return tf.RaggedTensor.from_row_splits(joined.values, splits)
