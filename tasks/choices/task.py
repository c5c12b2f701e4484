"""Multiple choice: questions through `ChoiceFeaturizer` to a softmax over the choices of each."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from processors.choices.featurizer import ChoiceFeaturizer, JoiningSettings
from processors.choices.question import ChoiceQuestion
from processors.choices.source import ChoiceSource
from processors.records.schema import Features
from tasks.base import AnswerSink, Collected, Task, TextSignature
from tasks.choices.files import answer_files
from tasks.choices.scores import choice_scores
from tokenization.base import Tokenizer

NAME = "multiple_choice"


@dataclasses.dataclass(frozen=True)
class ChoiceSettings:
    """How the model reads questions.

    Args:
      max_seq_length: most tokens of a context, question and choice together, special ones included.
      joining: how they become sequences.
      has_context: whether questions have a context.
      has_question: whether they have a question besides it.
    """

    max_seq_length: int = 128
    joining: JoiningSettings = JoiningSettings()  # noqa: RUF009 - frozen
    has_context: bool = True
    has_question: bool = True


class ChoiceTask(Task):
    """Questions with any number of choices, one of which is right.

    Args:
      tokenizer: of the model.
      source: gives the questions.
      settings: how they are read.
      limits: most questions to take from the start of a split, by split.
      name: of the task, for messages and the run directory.

    Raises:
      FlagError: lengths or settings that do not go together.
    """

    padding: Mapping[str, float] = {"logits": -1e9}
    stores_rows = True
    main_metric = "accuracy"

    def __init__(
        self,
        tokenizer: Tokenizer,
        source: ChoiceSource,
        settings: ChoiceSettings,
        limits: Mapping[str, int | None] | None = None,
        name: str = NAME,
    ) -> None:
        self.name = name
        self.tokenizer: Tokenizer = tokenizer
        self.choice_source = source
        self.settings = settings
        self.featurizer: ChoiceFeaturizer = ChoiceFeaturizer(
            tokenizer, settings.max_seq_length, settings.joining, source.rows.max_choices
        )
        self._limits = dict(limits or {})

    def head(self, is_training: bool) -> Any:
        """A `modeling.heads.choices.ChoiceHead`."""
        from modeling.heads.choices import ChoiceHead

        del is_training  # the loss is the same in evaluation
        return ChoiceHead()

    def examples(self, split: str) -> Iterator[ChoiceQuestion]:
        """Yields the questions of a split.

        Raises:
          DataError: one that cannot be used, or no data for the split.
        """
        return itertools.islice(self.choice_source.questions(split), self._limits.get(split))

    def data_files(self, split: str) -> list[Path]:
        """Those of the source."""
        return self.choice_source.data_files(split)

    def source(self, split: str) -> dict[str, Any]:
        """How the source reads, and limits."""
        del split
        return self.choice_source.description() | {"limits": self._limits}

    def stored(self, example: ChoiceQuestion) -> dict[str, Any]:
        """The texts of the question, which prediction files print."""
        return {
            "id": example.guid,
            "context": example.context,
            "question": example.question,
            "choices": list(example.choices),
        }

    def restored(self, stored: Mapping[str, Any]) -> ChoiceQuestion:
        """The question with its texts."""
        return ChoiceQuestion(stored["id"], stored["context"], stored["question"], tuple(stored["choices"]))

    def identity(self) -> dict[str, Any]:
        """Task name, problem type, and how texts become sequences."""
        settings = self.settings
        return {
            "task": self.name,
            "problem_type": NAME,
            **dataclasses.asdict(settings.joining),
            "has_context": settings.has_context,
            "has_question": settings.has_question,
        }

    def score(self, collected: Collected) -> dict[str, float]:
        """Mean reciprocal rank, and the accuracy of choosing at random."""
        return choice_scores(collected["label_ids"], collected["probabilities"], collected["choice_lengths"])

    def accuracy(self, collected: Collected) -> tuple[str, float]:
        """The share of questions whose right choice is the most probable one."""
        right = collected["label_ids"] == collected["probabilities"].argmax(axis=-1)
        return self.main_metric, float(right.mean())

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        """Opens `predictions.jsonl` and `predictions.csv`."""
        with answer_files(folder) as write:

            def sink(example: ChoiceQuestion, _: Sequence[Features], outputs: Sequence[Mapping[str, Any]]) -> None:
                write(example, outputs[0]["probabilities"][: len(example.choices)].tolist())

            yield sink

    def text_signature(self) -> TextSignature:
        """Raw `context`, `question` and `choices` -> the chosen one, and the probability of each."""
        from tasks.choices.signature import ChoiceTextSignature

        return ChoiceTextSignature(self.tokenizer, self.settings)
