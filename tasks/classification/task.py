"""Classification and regression of single texts and pairs: single-label, multi-label, scores."""

import contextlib
import dataclasses
import itertools
import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import FlagError, one_line
from common.files import atomic_writer, csv_row
from common.source_code import source_digest
from common.user_code import find_class
from processors.base import InputExample
from processors.example_source import ExampleSource
from processors.records.document_windows import WINDOWS, DocumentWindows
from processors.records.featurizer import HEAD, PairFeaturizer
from processors.records.schema import Features
from tasks.base import DEV, TEST, TRAIN, AnsweredRows, AnswerSink, Collected, Task, TextSignature
from tasks.classification.kinds import KINDS
from tasks.distillation import Scores
from tasks.row_results import RowResults
from tokenization.base import Tokenizer

log = logging.getLogger(__name__)

HEADS = "bert.heads"
"""Group of entry points of heads."""
_COLUMNS = ("id", "text_a", "text_b", "label")
"""First columns of `predictions.csv`."""


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """How mistakes count in training; in evaluation all count alike, so that runs compare.

    Args:
      class_weights: loss weight of each label in order, `"balanced"` for the inverse of its frequency in training,
        or None.
      label_smoothing: fraction of a target that is spread over all labels; see `modeling.heads.classification`.
      focal_gamma: how much less sure rows count, 0 or at least 1; see `modeling.heads.classification`.
    """

    class_weights: Sequence[float] | str | None = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0


class ClassificationTask(Task):
    """The examples of a source through `PairFeaturizer` to the head of their problem type.

    Args:
      name: the task name, for messages and the run directory.
      source: gives examples and labels.
      tokenizer: of the model.
      max_seq_length: most tokens a row.
      loss: how mistakes count in training.
      limits: most examples to take from the start of a split, by split.
      truncation: which tokens of a text that is too long are kept, one of `processors.records.featurizer.TRUNCATIONS`;
        or the windows in which all of it is read.
      head: names a head of the user's, as `common.user_code.find_class` has it; that of the problem type by default.

    Raises:
      FlagError: loss settings for a regression, class weights of another length than the labels, or numbers out of
        range.
    """

    stores_rows = True

    def __init__(
        self,
        name: str,
        source: ExampleSource,
        tokenizer: Tokenizer,
        max_seq_length: int,
        loss: LossSettings = LossSettings(),
        limits: Mapping[str, int | None] | None = None,
        truncation: str | DocumentWindows = HEAD,
        head: str | None = None,
    ) -> None:
        self.name = name
        self.example_source = source
        self.kind = KINDS[source.problem_type.name]
        self.labels = source.labels
        self.tokenizer: Tokenizer = tokenizer
        self.max_seq_length = max_seq_length
        self.truncation = truncation
        self.featurizer: PairFeaturizer = PairFeaturizer(
            tokenizer, max_seq_length, self.labels, source.problem_type.name, truncation
        )
        self._limits = dict(limits or {})
        self._loss = loss
        self._users_head = head
        self._check_loss()

    def head(self, is_training: bool) -> Any:
        """The head of the problem type, over windows where texts are read so; loss settings count in training alone."""
        loss = self._loss
        settings = (self._training_weights(), loss.label_smoothing, loss.focal_gamma) if is_training else ()
        head = self.kind.head(len(self.labels), settings, self._head_class())
        if not isinstance(self.truncation, DocumentWindows):
            return head
        from modeling.heads.windows import WindowedHead

        return WindowedHead(head, self.truncation.pooling, self.max_seq_length)

    def examples(self, split: str) -> Iterator[InputExample]:
        """Yields the processor's examples of a split.

        Raises:
          DataError: no data for the split.
        """
        seen: Counter[str] = Counter()
        for example in itertools.islice(self.example_source.examples(split), self._limits.get(split)):
            if split == TRAIN:
                seen.update(() if example.label is None else self.kind.problem_type.names(example.label))
            yield example
        absent = [label for label in self.labels if label not in seen]
        if split == TRAIN and self.kind.problem_type.is_exclusive and absent:
            limit = "; --max_train_examples takes the first rows only" if self._limits.get(TRAIN) else ""
            log.warning("no training row has label %s; it cannot be learned%s", one_line(", ".join(absent)), limit)

    def data_files(self, split: str) -> list[Path]:
        """The processor's own list, or every file of `data_dir`."""
        return self.example_source.data_files(split)

    def code_digest(self) -> str | None:
        """Digest of the source of the user's processor and head; None where there is neither."""
        head = self._head_class()
        return source_digest(type(self.example_source.processor), *([] if head is None else [head]))

    def held_out_file(self) -> Path | None:
        """The training table, where dev rows are held out from it."""
        return self.example_source.held_out_file()

    def source(self, split: str) -> dict[str, Any]:
        """Processor, its settings or its code, and limits."""
        return self.example_source.description(split) | {"limits": self._limits}

    def stored(self, example: InputExample) -> dict[str, Any]:
        """Id and texts, which prediction files print."""
        return {"id": example.guid, "text_a": example.text_a, "text_b": example.text_b}

    def restored(self, stored: Mapping[str, Any]) -> InputExample:
        """The example with its id and texts."""
        return InputExample(stored["id"], stored["text_a"], stored["text_b"])

    def identity(self) -> dict[str, Any]:
        """Task name, problem type, labels, and which tokens of long texts are read."""
        return {
            "task": self.name,
            "problem_type": self.kind.problem_type.name,
            "labels": self.labels,
            **self._described_truncation(),
            **self._described_head(),
        }

    def score(self, collected: Collected) -> dict[str, float]:
        """The metrics of the problem type beyond upstream's accuracy and loss."""
        return self.kind.score(collected, self.labels)

    def accuracy(self, collected: Collected) -> tuple[str, float]:
        """That of the problem type: accuracy, micro F1 over several labels, or Pearson's correlation."""
        return self.kind.accuracy(collected, self.labels)

    def write_evaluation(self, collected: Collected, folder: Path, step: int) -> None:
        """Writes the confusion matrix as CSV and PNG (single-label)."""
        self.kind.write_evaluation(collected, self.labels, folder, f"{self.name}, {DEV} split, step {step}")

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        """Opens `test_results.tsv` (upstream's), `predictions.jsonl` and `predictions.csv`."""
        with (
            atomic_writer(folder / "test_results.tsv") as tsv,
            atomic_writer(folder / "predictions.jsonl") as jsonl,
            atomic_writer(folder / "predictions.csv") as table,
        ):
            # A label may be called like another column: `id` is also the code of a language.
            table.write(csv_row([*_COLUMNS, *(f"p({one})" if one in _COLUMNS else one for one in self.labels)]))

            def write(example: InputExample, _: Sequence[Features], outputs: Sequence[Mapping[str, Any]]) -> None:
                answer = self.answer(outputs[0])
                texts = {"id": example.guid, "text_a": example.text_a, "text_b": example.text_b}
                jsonl.write(json.dumps(texts | answer, ensure_ascii=False) + "\n")
                values = self._scores(outputs[0]).tolist()
                tsv.write("\t".join(str(value) for value in values) + "\n")
                shown = self._in_a_cell(answer["label"])
                table.write(csv_row([example.guid, example.text_a, example.text_b, shown, *values[: len(self.labels)]]))

            yield write

    def _in_a_cell(self, label: Any) -> Any:
        """A label, or several with commas between them: a JSON list where a name of the task has a comma itself."""
        if not isinstance(label, list):
            return label
        return json.dumps(label, ensure_ascii=False) if any("," in one for one in self.labels) else ",".join(label)

    def answer(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """One answer for people: the label (name, names or score) and probabilities by name."""
        return self.kind.answer(self.labels, self._scores(output))

    def soft_target_shape(self) -> tuple[int | None, ...]:
        """A score for each label, or one."""
        return (max(len(self.labels), 1),)

    def soft_targets(self, outputs: Mapping[str, Any], window: Features) -> Scores:
        """Scores of the labels `[C]`, or the number `[1]`."""
        del window
        return self.kind.soft_targets(outputs)

    def soft_targets_of_answer(self, answer: Mapping[str, Any]) -> Scores:
        """As `soft_targets`; of probabilities, whose logarithms equal scores up to what the loss does not see."""
        return self.kind.soft_targets_of_answer(self.labels, answer)

    def without_label(self, example: InputExample) -> InputExample:
        """Under an id of its own."""
        return dataclasses.replace(example, guid=example.guid.replace("test-", "unlabelled-", 1), label=None)

    def row_results(self, answered: AnsweredRows) -> RowResults:
        """Whether each answer is right; of numbers, the answers themselves."""
        labels, answers = [], []
        for example, _, outputs in answered:
            labels.append(example.label)
            answers.append(self.answer(outputs[0])["label"])
        if not self.kind.problem_type.has_labels:
            return RowResults.of_numbers([float(label) for label in labels], answers)
        if self.kind.problem_type.is_exclusive:
            return RowResults.of_hits("accuracy", [a == b for a, b in zip(labels, answers, strict=True)], answers)
        hits = [set(label) == set(answer) for label, answer in zip(labels, answers, strict=True)]
        return RowResults.of_hits("exact_match", hits, answers)

    def text_signature(self) -> TextSignature:
        """Raw `text_a` and optional `text_b` -> label names, probabilities, scores."""
        from tasks.classification.signature import LabelTextSignature

        return LabelTextSignature(self.tokenizer, self.max_seq_length, self.labels, self.kind, self.truncation)

    def _head_class(self) -> Any:
        """The class of the user's head; None where there is none.

        Raises:
          RegistryError: it is not a head of this problem type.
        """
        if self._users_head is None:
            return None
        expected = self.kind.head_class()
        what = f"a subclass of modeling.{expected.__name__} (--problem_type={self.kind.problem_type.name})"
        return find_class(
            self._users_head, "--head", lambda one: isinstance(one, type) and issubclass(one, expected), what, HEADS
        )

    def _described_truncation(self) -> dict[str, Any]:
        if not isinstance(self.truncation, DocumentWindows):
            return {"truncation": self.truncation}
        return {
            "truncation": WINDOWS,
            "doc_stride": self.truncation.doc_stride,
            "pool_windows": self.truncation.pooling,
        }

    def _described_head(self) -> dict[str, Any]:
        """Name of the user's head, and of a class of Hugging Face if it says itself that it computes as that one's."""
        head = self._head_class()
        if head is None:
            return {}
        return {"head": head.__name__, "hugging_face_class": vars(head).get("hugging_face_class")}

    def _scores(self, output: Mapping[str, Any]) -> np.ndarray:
        return np.atleast_1d(output[self.kind.output])

    def _check_loss(self) -> None:
        weights, smoothing, gamma = dataclasses.astuple(self._loss)
        given = {"class_weights": weights, "label_smoothing": smoothing or None, "focal_gamma": gamma or None}
        self.kind.check_loss({name: value for name, value in given.items() if value is not None}, self.labels)
        if not 0.0 <= smoothing < 1.0:
            raise FlagError(f"--label_smoothing={smoothing}: expected a share of at least 0 and below 1, 0.1 say")
        if gamma and not 1.0 <= gamma < math.inf:
            raise FlagError(f"--focal_gamma={gamma}: expected 0 (off) or at least 1; 2 is usual")

    def _training_weights(self) -> Sequence[float] | None:
        weights = self._loss.class_weights
        return self._balanced_weights() if isinstance(weights, str) else weights

    def _balanced_weights(self) -> list[float]:
        """Inverse frequency, so that every class present weighs the same in sum (as scikit-learn's "balanced")."""
        counts = np.zeros(len(self.labels))
        for example in self.examples(TRAIN):
            counts[self.featurizer.label_value(example)] += 1
        present = counts > 0
        return [float(w) for w in np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)]


__all__ = ["DEV", "TEST", "TRAIN", "ClassificationTask"]
