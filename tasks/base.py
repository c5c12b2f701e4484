"""The contract that keeps every kind of work on one path."""

import abc
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from common.errors import ExportError, FlagError
from common.source_code import source_digest
from processors.records.featurizer import Featurizer, chunked
from processors.records.record_sets import CHUNK_EXAMPLES
from processors.records.schema import Features, FeatureSpec
from tasks.distillation import Distillation, Scores
from tasks.row_results import RowResults
from tokenization.base import Tokenizer

TRAIN, DEV, TEST = "train", "dev", "test"

Collected = dict[str, np.ndarray]
"""Model outputs and gold fields of a whole evaluation, one row an example."""

AnswerSink = Callable[[Any, Sequence[Features], Sequence[Mapping[str, Any]]], None]
"""Takes an example, its windows as the featurizer made them, and the model's outputs for each; writes its answer."""

AnsweredRows = Iterable[tuple[Any, Sequence[Features], Sequence[Mapping[str, Any]]]]
"""Examples with their windows, and the model's outputs for each window."""


class Task(abc.ABC):
    """What to read, how an example becomes features, which head to train, and how outputs become answers.

    One `model_fn`, one `input_fn` and one lifecycle run every Task; a new kind of work is a Task and a Head.

    Attributes:
      name: as registered, for messages and the run directory.
      tokenizer: of the model; None where no text is read.
      featurizer: the only way from this task's examples to records.
      collects_rows: whether an evaluation keeps every row's outputs for `score` and `write_evaluation`; not where
        rows are too many and the head's own metrics say it all.
      padding: by name, what fills up a gold field or prediction whose rows are shorter in one batch than in another;
        zero by default.
      stores_rows: whether what prediction files print of an example is stored beside its record, by `stored`. A task
        without, or with several windows for an example, reads its examples again, and may do so only where that gives
        the same ones.
      main_metric: the score that says which of several checkpoints is best, unless the user names another.
      distillation: the teacher that training goes by besides the labels; None for labels alone.
      read_again: set while scores are computed: gives the examples of a split and their windows once more, each held
        against its record.
      learns_by_token: whether what a teacher says is of tokens, so that it must have the student's.
    """

    name: str
    tokenizer: Tokenizer | None
    featurizer: Featurizer
    collects_rows: bool = True
    padding: Mapping[str, float] = {}
    stores_rows: bool = False
    main_metric: str = "loss"
    distillation: Distillation | None = None
    read_again: Callable[[str], Iterator[tuple[Any, list[Features]]]] | None = None
    learns_by_token: bool = False

    @abc.abstractmethod
    def head(self, is_training: bool) -> Any:
        """A `modeling.heads.base.Head` of the task; loss weights apply in training only."""

    @abc.abstractmethod
    def examples(self, split: str) -> Iterable[Any]:
        """A fresh pass over the examples of `"train"`, `"dev"` or `"test"`."""

    @final
    def again(self, split: str) -> Iterator[tuple[Any, list[Features]]]:
        """Examples of a split in the order of the records, with their windows, for scores that need more than what an
        evaluation collects.

        Raises:
          DataError: they are not those of the records.
        """
        if self.read_again is not None:
            yield from self.read_again(split)
            return
        for chunk in chunked(self.examples(split), CHUNK_EXAMPLES):
            yield from zip(chunk, self.featurizer.featurize(chunk), strict=True)

    @abc.abstractmethod
    def data_files(self, split: str) -> list[Path]:
        """The files that decide the examples of a split, for its fingerprint."""

    def record_files(self, split: str) -> list[Path]:
        """Finished record files to read for a split as they are; none (the default) where examples are converted."""
        del split
        return []

    def code_digest(self) -> str | None:
        """Digest of the user's code that takes part: by default the file of the task; None where there is none."""
        return source_digest(type(self))

    def held_out_file(self) -> Path | None:
        """The training file that the dev rows are held out from; None where they come from elsewhere."""
        return None

    @property
    def record_spec(self) -> FeatureSpec:
        """Schema of the records to train and evaluate on: that of the featurizer, which makes them of examples."""
        return self.featurizer.spec

    @abc.abstractmethod
    def source(self, split: str) -> dict[str, Any]:
        """What decides the examples of a split besides the data files, as plain JSON, for a fingerprint."""

    def stored(self, example: Any) -> dict[str, Any]:
        """What prediction files print of an example, as plain JSON, to be stored beside its record."""
        raise NotImplementedError(f"{type(self).__name__} stores no examples")

    def restored(self, stored: Mapping[str, Any]) -> Any:
        """What `answers` takes as an example, from what `stored` gave."""
        raise NotImplementedError(f"{type(self).__name__} stores no examples")

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """What two runs in one output directory must share (task, problem type, labels ...), as plain JSON."""

    @abc.abstractmethod
    def score(self, collected: Collected) -> dict[str, float]:
        """The task's metrics over a whole evaluation, named `eval_...`."""

    def accuracy(self, collected: Collected) -> tuple[str, float] | None:
        """How right the answers are, to compare two ways of computing them.

        Args:
          collected: as for `score`.

        Returns:
          The name of a score, better where it is higher, and its value, at most 1; by default that of `main_metric`
          where `score` has it. None where there is no such score.
        """
        found = self.score(collected).get(f"eval_{self.main_metric}")
        return None if found is None else (self.main_metric, found)

    def derived(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Metrics that follow from others; none by default.

        Args:
          scores: the head's metrics over a whole evaluation, and those of `score`.
        """
        del scores
        return {}

    def write_evaluation(self, collected: Collected, folder: Path, step: int) -> None:  # noqa: B027 - most tasks leave nothing
        """Writes what an evaluation leaves beside its metrics; nothing by default."""

    @abc.abstractmethod
    def answers(self, folder: Path) -> contextlib.AbstractContextManager[AnswerSink]:
        """Opens the prediction files of the task in `folder`; they appear once the block ends well."""

    def soft_target_shape(self) -> tuple[int | None, ...]:
        """Shape of what `soft_targets` gives: `(C,)`, or `(None, C)` where windows have several places.

        Raises:
          FlagError: the task cannot be distilled.
        """
        raise FlagError(f"--teacher: the task {self.name} cannot be learned of a teacher; leave it out")

    def soft_target_places(self, window: Features) -> int:
        """How many places `soft_targets` gives scores of in a window of this task's own; one by default."""
        del window
        return 1

    def soft_targets(self, outputs: Mapping[str, Any], window: Features) -> Scores:
        """What a student learns of a model's outputs for a window, as `Head.soft_losses` reads it.

        Args:
          outputs: the head's predictions for one window.
          window: as the featurizer made it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no soft targets")

    def soft_targets_of_answer(self, answer: Mapping[str, Any]) -> Scores:
        """As `soft_targets`, of an answer as it stands in `predictions.jsonl`.

        Raises:
          ValueError: the answer lacks what is needed; the message says what.
          FlagError: such answers do not hold the scores.
        """
        raise FlagError(
            f"--teacher_predictions: answers of the task {self.name} do not hold the scores of the model; give its run "
            "as --teacher"
        )

    def row_results(
        self, answered: Iterable[tuple[Any, Sequence[Features], Sequence[Mapping[str, Any]]]]
    ) -> RowResults:
        """What the outputs of a model say of each row, against its gold.

        Args:
          answered: labelled examples, their windows, and the head's predictions for each.

        Raises:
          FlagError: models of this task are not compared so.
        """
        raise FlagError(f"--compare_teacher: the task {self.name} gives no scores row by row; leave it out")

    def text_signature(self) -> "TextSignature | None":
        """How raw text is answered inside an export; None (the default) for a task whose exports take ids alone."""
        return None


class TextSignature(abc.ABC):
    """The part of an export between raw text and named answers, in the graph.

    Args:
      tokenizer: of the model.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "TextSignature":
        """The signature that an export was made with, to answer texts from one that takes ids.

        Args:
          tokenizer: of the export.
          settings: those of the tokenizer and of `settings`.
          assets: folder of the files of `assets`.

        Raises:
          ExportError: exports of this task cannot be asked so.
        """
        del tokenizer, settings
        raise ExportError(f"{assets.parent}: takes ids alone, and its task gives no way from texts to them")

    @abc.abstractmethod
    def inputs(self) -> dict[str, Any]:
        """String placeholders by name."""

    @abc.abstractmethod
    def features(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Tokenizes raw text into the encoder's inputs, exactly as the featurizer does."""

    @abc.abstractmethod
    def outputs(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        """Names the predictions for people: labels as text beside probabilities."""

    @abc.abstractmethod
    def parity_examples(self) -> tuple[dict[str, list[str]], list[Any]]:
        """Raw inputs, and the same as examples for the featurizer: texts on which tokenizers are known to differ."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a client has to know of the texts besides the tokenizer, as plain JSON.

        `problem_type` says how outputs are read (`tasks.exports`); `inputs` names the texts, by default `text_a` and
        `text_b`.
        """

    def further(self) -> "Mapping[str, TextSignature]":
        """Signatures on other forms of the texts, by name; none by default."""
        return {}

    def further_assets(self) -> dict[str, str | bytes]:
        """Files by name besides those of the tokenizer; none by default."""
        return {}

    @final
    def assets(self) -> dict[str, str | bytes]:
        """Files by name that travel with the export: all it takes to tokenize outside of the graph."""
        settings = json.dumps({**self.tokenizer.settings(), **self.settings()}, indent=2, sort_keys=True) + "\n"
        return {**self.tokenizer.assets(), **self.further_assets(), "tokenizer.json": settings}
