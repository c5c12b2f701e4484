"""The text signature of vectors in NumPy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.records.featurizer import PairFeaturizer
from processors.records.padded import padded
from processors.records.pair_layout import PairLayout
from tasks.text_rows import Arrays, ReadTexts, TextRows, as_bytes
from tasks.vectors.answers import TEXTS, TOKEN_SEPARATOR
from tokenization.base import Tokenizer

_INPUTS = ("input_ids", "input_mask", "segment_ids")


class VectorRows(TextRows):
    """A text, a pair, or a text in tokens -> its vector, or a vector for each token; as `VectorTextSignature`.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a row.
      shows_tokens: whether the tokens are an output, too.
    """

    input_names = TEXTS

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int, shows_tokens: bool) -> None:
        self._tokenizer = tokenizer
        self._layout = PairLayout.of(tokenizer)
        self._featurizer = PairFeaturizer(tokenizer, max_seq_length, (), "single_label")
        self._shows_tokens = shows_tokens

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "VectorRows":
        """As `TextRows.of_export`."""
        del assets
        return cls(tokenizer, settings["max_seq_length"], settings["shows_tokens"])

    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """Rows, and how many tokens each had before it was cut; given tokens that are unknown are so."""
        first = inputs["text_a"]
        second, given = (inputs.get(name) or [""] * len(first) for name in ("text_b", "tokens"))
        pieces = self._tokenizer.encode([*first, *second])
        vocab, unknown = self._tokenizer.vocab, self._tokenizer.special_ids.unk
        rows, whole = [], []
        for a, b, tokens in zip(pieces[: len(first)], pieces[len(first) :], given, strict=True):
            ids = [vocab.get(token, unknown) for token in tokens.split(TOKEN_SEPARATOR)] if tokens else a
            rows.append(self._featurizer.joined(ids, b or None))
            specials = self._layout.specials_of_pair if b else self._layout.specials_alone
            whole.append(specials + len(ids) + len(b))
        return ReadTexts(dict(padded(self._featurizer.spec, rows, _INPUTS)), np.array(whole, np.int32))

    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """As `VectorTextSignature.outputs`."""
        mask, vectors = read.features["input_mask"], predictions["vectors"]
        if vectors.ndim == 4:  # layers side by side
            vectors = vectors.reshape(*vectors.shape[:2], -1) * mask[:, :, np.newaxis].astype(np.float32)
        found = {"vectors": vectors, "num_tokens": mask.sum(axis=1, dtype=np.int32), "all_tokens": read.told}
        if self._shows_tokens:
            names = self._tokenizer.tokens
            ids = read.features["input_ids"].tolist()
            found["tokens"] = as_bytes(
                [[names[token] if there else "" for token, there in zip(*row, strict=True)]
                 for row in zip(ids, mask.tolist(), strict=True)]
            )  # fmt: skip
        return found
