"""The classifier's text signature in NumPy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from processors.base import InputExample
from processors.records.document_windows import stated_truncation
from processors.records.featurizer import PairFeaturizer
from processors.records.padded import padded
from tasks.classification.kinds import KINDS, Kind
from tasks.text_rows import Arrays, ReadTexts, TextRows
from tokenization.base import Tokenizer


class LabelRows(TextRows):
    """Texts and pairs -> labels and probabilities, or a score; as `LabelTextSignature`.

    Args:
      featurizer: of the rows.
      labels: names of the classes.
      kind: of the problem type.
    """

    input_names = ("text_a", "text_b")

    def __init__(self, featurizer: PairFeaturizer, labels: Sequence[str], kind: Kind) -> None:
        self._featurizer = featurizer
        self._labels = list(labels)
        self._kind = kind

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "LabelRows":
        """As `TextRows.of_export`."""
        labels = read_labels(assets)
        problem_type, length = settings["problem_type"], settings["max_seq_length"]
        featurizer = PairFeaturizer(tokenizer, length, labels, problem_type, stated_truncation(settings))
        return cls(featurizer, labels, KINDS[problem_type])

    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """A text without a second one is a text alone."""
        first = inputs["text_a"]
        second = inputs.get("text_b") or [""] * len(first)
        examples = [
            InputExample(str(index), a, b or None) for index, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        rows = [windows[0] for windows in self._featurizer.featurize(examples)]
        return ReadTexts(dict(padded(self._featurizer.spec, rows)))

    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """As the kind names them in the graph."""
        return self._kind.in_numpy(predictions, self._labels)


def read_labels(assets: Path) -> list[str]:
    """Names of an export's classes, in their order."""
    return (assets / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
