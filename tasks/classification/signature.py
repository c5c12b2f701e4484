"""Raw text in, named answers out, in the graph: the text signature of the classifier's export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from processors.base import InputExample
from processors.graph.document_windows import pack_documents
from processors.graph.pairs import pack_pairs
from processors.graph.tokenizer import in_graph
from processors.records.document_windows import WINDOWS, DocumentWindows, stated_truncation
from processors.records.featurizer import HEAD
from processors.records.pair_layout import PairLayout
from tasks.base import TextSignature
from tasks.classification.kinds import KINDS, Kind
from tasks.classification.text_rows import read_labels
from tokenization.base import Tokenizer


class PairTextSignature(TextSignature):
    """`text_a` [N] and optional `text_b` ([N], or [1] for all rows; no token means none) -> predictions.

    Its arguments are those of the `TextFeaturizer` whose rows it makes in the graph.
    """

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int, truncation: str | DocumentWindows = HEAD) -> None:
        super().__init__(tokenizer)
        self._max_seq_length = max_seq_length
        self._truncation = truncation

    def inputs(self) -> dict[str, tf.Tensor]:
        """Placeholders; `text_b` defaults to "no second text"."""
        text_a = tf.compat.v1.placeholder(tf.string, [None], "text_a")
        text_b = tf.compat.v1.placeholder_with_default(tf.constant([""]), [None], "text_b")
        return {"text_a": text_a, "text_b": text_b}

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Tokenizes and joins, or cuts into windows; both texts go through one pass of the tokenizer."""
        text_a = inputs["text_a"]
        text_b = tf.broadcast_to(inputs["text_b"], tf.shape(text_a))
        pieces = in_graph(self.tokenizer)(tf.concat([text_a, text_b], axis=0))
        rows = tf.size(text_a)
        second = pieces[rows:]
        texts = PairLayout.of(self.tokenizer), pieces[:rows], second, second.row_lengths() > 0
        if isinstance(self._truncation, DocumentWindows):
            return pack_documents(*texts, self._max_seq_length, self._truncation)
        return pack_pairs(*texts, self._max_seq_length, self._truncation)

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The head's predictions, as they are."""
        return dict(predictions)

    def parity_examples(self) -> tuple[dict[str, list[str]], list[InputExample]]:
        """Every parity text alone, and in a pair with its neighbour; too long ones alike; and a pair with nothing.

        Where texts are read in windows, also all of them as one text of many windows, and that in a pair.
        """
        from processors.graph.parity_texts import PARITY_TEXTS, long_texts

        long, other = long_texts(self._max_seq_length)
        short, nothing = PARITY_TEXTS[0], "\u200b"
        first = [*PARITY_TEXTS, *PARITY_TEXTS, long, long, short, long, short]
        second = [*[""] * len(PARITY_TEXTS), *PARITY_TEXTS[1:], short, "", short, long, other, nothing]
        if isinstance(self._truncation, DocumentWindows):
            document = " ".join([*PARITY_TEXTS, long, other])
            first, second = [*first, document, document, long], [*second, "", short, document]
        examples = [
            InputExample(f"parity-{i}", a, b or None) for i, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        return {"text_a": first, "text_b": second}, examples

    def settings(self) -> dict[str, Any]:
        """Length, and which tokens of long texts are read."""
        if not isinstance(self._truncation, DocumentWindows):
            return {"max_seq_length": self._max_seq_length, "truncation": self._truncation}
        return {"max_seq_length": self._max_seq_length, "truncation": WINDOWS, **self._truncation.settings()}


class LabelTextSignature(PairTextSignature):
    """Texts and pairs -> labels and probabilities, or a score.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a row.
      labels: names of the classes.
      kind: of the problem type.
      truncation: as for `PairTextSignature`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_seq_length: int,
        labels: Sequence[str],
        kind: Kind,
        truncation: str | DocumentWindows = HEAD,
    ) -> None:
        super().__init__(tokenizer, max_seq_length, truncation)
        self._labels = list(labels)
        self._kind = kind

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "LabelTextSignature":
        """As `TextSignature.of_export`."""
        labels = read_labels(assets)
        kind = KINDS[settings["problem_type"]]
        return cls(tokenizer, settings["max_seq_length"], labels, kind, stated_truncation(settings))

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Single-label: `label` [N], `score` [N] (its probability), `probabilities` [N, C], `labels` [N, C].

        Multi-label has no single `label`; regression has `score` alone.
        """
        return self._kind.in_graph(predictions, self._labels)

    def settings(self) -> dict[str, Any]:
        """Also the problem type."""
        return super().settings() | {"problem_type": self._kind.problem_type.name}

    def further_assets(self) -> dict[str, str | bytes]:
        """`labels.txt`: names in the order of the classes, a line each."""
        return {"labels.txt": "".join(f"{label}\n" for label in self._labels)}
