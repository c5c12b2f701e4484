"""The text signature of multiple choice in NumPy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.choices.featurizer import ChoiceFeaturizer, JoiningSettings
from processors.choices.question import ChoiceQuestion, is_blank
from processors.records.padded import padded
from tasks.text_rows import Arrays, ReadTexts, TextRows, as_bytes
from tokenization.base import Tokenizer

_INPUTS = ("input_ids", "input_mask", "segment_ids", "choice_lengths")


class ChoiceRows(TextRows):
    """Context, question and choices -> the chosen one, probabilities of all; as `ChoiceTextSignature`.

    Args:
      featurizer: of the questions.
      names: of the texts that questions have; the choices are the last.
    """

    def __init__(self, featurizer: ChoiceFeaturizer, names: Sequence[str]) -> None:
        self._featurizer = featurizer
        self.input_names = tuple(names)

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "ChoiceRows":
        """As `TextRows.of_export`."""
        del assets
        joining = JoiningSettings(**settings["joining"])
        return cls(ChoiceFeaturizer(tokenizer, settings["max_seq_length"], joining), settings["inputs"])

    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """The sequences of the choices of each question."""
        choices = [tuple("" if is_blank(text) else text for text in row) for row in inputs["choices"]]
        nothing = [""] * len(choices)
        texts = zip(*(inputs.get(name) or nothing for name in ("context", "question")), choices, strict=True)
        plain = [(*("" if is_blank(text) else text for text in row[:2]), row[2]) for row in texts]
        examples = [ChoiceQuestion(str(index), *row) for index, row in enumerate(plain)]
        rows = [windows[0] for windows in self._featurizer.featurize(examples)]
        return ReadTexts(dict(padded(self._featurizer.spec, rows, _INPUTS)), choices)

    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """As `ChoiceTextSignature.outputs`."""
        probabilities, choices = predictions["probabilities"], read.told
        index = probabilities.argmax(axis=1)
        sizes = [max((place for place, text in enumerate(row, start=1) if text), default=0) for row in choices]
        return {
            "answer": as_bytes([row[place] for row, place in zip(choices, index, strict=True)]),
            "index": index.astype(np.int32),
            "num_choices": np.array(sizes, np.int32),
            "choices": as_bytes(choices),
            "probabilities": probabilities,
        }
