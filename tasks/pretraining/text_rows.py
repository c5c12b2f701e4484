"""The text signature of the masked-language model in NumPy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.pretraining.instance_records import pretraining_spec
from processors.pretraining.masked_text import encoded_around_masks
from processors.records.padded import padded
from processors.records.pair_layout import PairLayout
from tasks.text_rows import Arrays, ReadTexts, TextRows, as_bytes
from tokenization.base import Tokenizer

_INPUTS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")


class MaskedRows(TextRows):
    """`text` -> for each mask in it the likeliest tokens; as `MaskedTextSignature`.

    Args:
      tokenizer: of the model; its vocabulary has a token that masks.
      max_seq_length: most tokens of a text; a mask beyond is not predicted.
    """

    input_names = ("text",)

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int) -> None:
        self._tokenizer = tokenizer
        self._mask = tokenizer.vocab[tokenizer.special_tokens.mask]
        self._layout = PairLayout.of(tokenizer)
        self._most = max_seq_length - self._layout.specials_alone
        self._spec = pretraining_spec(max_seq_length, max_seq_length, False)

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "MaskedRows":
        """As `TextRows.of_export`."""
        del assets
        return cls(tokenizer, settings["max_seq_length"])

    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """Rows with the places of their masks; where there is none at all, of one that is not looked at."""
        rows = []
        for ids in encoded_around_masks(inputs["text"], self._tokenizer, self._mask):
            row = self._layout.features(ids[: self._most])
            masks = [place for place, token in enumerate(row["input_ids"]) if token == self._mask]
            rows.append({**row, "masked_lm_positions": masks})
        counts = [len(row["masked_lm_positions"]) for row in rows]
        if not any(counts):
            rows[0]["masked_lm_positions"] = [0]
        return ReadTexts(dict(padded(self._spec, rows, _INPUTS)), counts)

    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """As `MaskedTextSignature.outputs`."""
        counts = np.array(read.told, np.int32)
        most = int(counts.max())
        ids, probabilities = (predictions[name][:, :most] for name in ("top_ids", "top_probabilities"))
        is_real = np.arange(most) < counts[:, np.newaxis]
        tokens = self._tokenizer.tokens
        named = [
            [[self._name(token, tokens) if there else "" for token in one] for one, there in zip(*row, strict=True)]
            for row in zip(ids.tolist(), is_real.tolist(), strict=True)
        ]
        return {
            "num_masks": counts,
            "pieces": as_bytes(named).reshape(ids.shape),
            "probabilities": np.where(is_real[:, :, np.newaxis], probabilities, np.float32(0)),
        }

    @staticmethod
    def _name(token: int, tokens: Sequence[str]) -> str:
        """Of a token; embedding tables may have spare rows that stand for none."""
        return tokens[token] if token < len(tokens) else f"[id {token}]"
