"""Reading comprehension: questions on contexts, answered by a span of the context."""

import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import FlagError
from common.garbage_collection import old_objects_left_alone
from processors.records.featurizer import chunked
from processors.records.schema import Features
from processors.squad.examples import SquadExample, SquadReader
from processors.squad.windows import SpanFeaturizer
from tasks.base import DEV, TEST, TRAIN, AnsweredRows, AnswerSink, Collected, Task, TextSignature
from tasks.distillation import Scores
from tasks.row_results import RowResults
from tasks.span import metrics
from tasks.span.decoding import Decoded, decode, decode_all
from tasks.span.files import answer_files, store_threshold
from tasks.span.ranking import DecodingSettings, Logits, QuestionLogits
from tasks.span.text import SpanText
from tokenization.base import Tokenizer

log = logging.getLogger(__name__)

FILE_FLAGS = {TRAIN: "train_file", DEV: "predict_file", TEST: "predict_file"}


@dataclasses.dataclass(frozen=True)
class SpanSettings:
    """Upstream's flags of windows and answers, with upstream's defaults.

    Args:
      max_seq_length: most tokens a window.
      doc_stride: tokens between the starts of two windows.
      max_query_length: most tokens of a question.
      decoding: how answers are chosen.
      answer_text: `"upstream"` or `"offsets"`, see `tasks.span.text`.
      tune_null_threshold: an evaluation sets the threshold of the null odds to the best for F1, and stores it.
      skip_bad_questions: leave out questions that cannot be used, in place of stopping.
      encoding: of the files, as for `processors.reading.open_text`.
    """

    max_seq_length: int = 384
    doc_stride: int = 128
    max_query_length: int = 64
    decoding: DecodingSettings = dataclasses.field(default_factory=DecodingSettings)
    answer_text: str = "upstream"
    tune_null_threshold: bool = False
    skip_bad_questions: bool = False
    encoding: str | None = None

    def tuned_with(self) -> dict[str, Any]:
        """What a tuned threshold depends on, by flag."""
        decoding = self.decoding
        return {
            "n_best_size": decoding.n_best_size,
            "max_answer_length": decoding.max_answer_length,
            "answer_text": self.answer_text,
            "doc_stride": self.doc_stride,
            "max_seq_length": self.max_seq_length,
        }


def question_logits(windows: Sequence[Features], rows: Sequence[Logits]) -> QuestionLogits:
    """A question for decoding: its windows and the model's outputs for them."""
    # Drop the batch padding after each window.
    lengths = [len(window["input_ids"]) for window in windows]
    logits = [(start[:length], end[:length]) for (start, end), length in zip(rows, lengths, strict=True)]
    return QuestionLogits([window["_window"] for window in windows], logits)


class SpanTask(Task):
    """SQuAD 1.1 and 2.0, and sets of the same form.

    Args:
      tokenizer: of the model.
      settings: of windows and answers.
      files: the SQuAD file of each split that is used.
      null_threshold: "no answer" is given where its odds are above this.
      limits: most questions to take from the start of a split, by split.

    Attributes:
      null_threshold: in use now; an evaluation that tunes it changes it.

    Raises:
      FlagError: lengths that do not go together.
    """

    name = "squad"
    main_metric = "f1"
    learns_by_token = True

    def __init__(
        self,
        tokenizer: Tokenizer,
        settings: SpanSettings,
        files: Mapping[str, Path],
        null_threshold: float = 0.0,
        limits: Mapping[str, int | None] | None = None,
    ) -> None:
        self.tokenizer: Tokenizer = tokenizer
        self.settings = settings
        self.null_threshold = null_threshold
        self.featurizer = SpanFeaturizer(
            tokenizer, settings.max_seq_length, settings.doc_stride, settings.max_query_length
        )
        self._version_2 = settings.decoding.version_2_with_negative
        self._files = dict(files)
        self._limits = dict(limits or {})
        self._span_text = SpanText(tokenizer, settings.answer_text)
        self._reported: set[str] = set()
        self._evaluated: list[tuple[SquadExample, Decoded]] = []

    @property
    def evaluation_answers_test(self) -> bool:
        """Whether an evaluation answers just the questions that a prediction would."""
        same_file = self._files.get(DEV) == self._files.get(TEST)
        return same_file and self._limits.get(DEV) == self._limits.get(TEST)

    def head(self, is_training: bool) -> Any:
        """A `SpanHead`."""
        from modeling.heads.span import SpanHead

        del is_training
        return SpanHead()

    def examples(self, split: str) -> Iterator[SquadExample]:
        """Yields the questions of a split; reports once those that cannot be used.

        Raises:
          DataError: the file is not of SQuAD's form.
        """
        reader = self.reader(split)
        yield from itertools.islice(reader, self._limits.get(split))
        report = reader.report()
        if report and split not in self._reported:
            self._reported.add(split)
            log.warning("%s", report)

    def reader(self, split: str) -> SquadReader:
        """The reader of a split's file."""
        learns, is_training = split != TEST, split == TRAIN
        path = self.data_files(split)[0]
        settings = self.settings
        return SquadReader(path, learns, is_training, self._version_2, settings.skip_bad_questions, settings.encoding)

    def has(self, split: str) -> bool:
        """Whether a file was given for a split."""
        return split in self._files

    def data_files(self, split: str) -> list[Path]:
        """The split's file."""
        if split not in self._files:
            raise FlagError(f"--{FILE_FLAGS[split]} is missing; give a SQuAD file")
        return [self._files[split]]

    def source(self, split: str) -> dict[str, Any]:
        """Version, limits, encoding, and what becomes of bad questions."""
        del split
        return {
            "version_2_with_negative": self._version_2,
            "skip_bad_questions": self.settings.skip_bad_questions,
            "encoding": self.settings.encoding,
            "limits": self._limits,
        }

    def identity(self) -> dict[str, Any]:
        """Task name and version."""
        return {"task": self.name, "version_2_with_negative": self._version_2}

    def score(self, collected: Collected) -> dict[str, float]:
        """Official exact match and F1; tunes the threshold first where that was asked for."""
        self._evaluated = list(self._decoded(DEV, collected))
        if self.settings.tune_null_threshold:
            self.null_threshold = self._scores()["eval_best_f1_thresh"]
        found = self._scores()
        return found | ({"eval_null_threshold": self.null_threshold} if self._version_2 else {})

    def accuracy(self, collected: Collected) -> tuple[str, float]:
        """F1 as a fraction; the answers and the threshold of the evaluation stay."""
        evaluated, threshold = self._evaluated, self.null_threshold
        try:
            return self.main_metric, self.score(collected)["eval_f1"] / 100
        finally:
            self._evaluated, self.null_threshold = evaluated, threshold

    def write_evaluation(self, collected: Collected, folder: Path, step: int) -> None:
        """Writes the answers that were scored, and the threshold that was found.

        The answers go where a prediction's would, unless that reads other questions: then under `eval_answers/`.
        """
        del collected, step  # decoded already
        if self.settings.tune_null_threshold:
            store_threshold(folder, self.null_threshold, self._scores()["eval_best_f1"], self.settings.tuned_with())
        answers = folder if self.evaluation_answers_test else folder / "eval_answers"
        with answer_files(answers, self._version_2) as write:
            for example, decoded in self._evaluated:
                write(example, decoded, self.null_threshold)

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        """Opens upstream's prediction files and `predictions.jsonl`."""
        with old_objects_left_alone(), answer_files(folder, self._version_2) as write:
            pending: list[tuple[SquadExample, QuestionLogits]] = []

            def sink(
                example: SquadExample, windows: Sequence[Features], outputs: Sequence[Mapping[str, np.ndarray]]
            ) -> None:
                rows = [(output["start_logits"], output["end_logits"]) for output in outputs]
                pending.append((example, question_logits(windows, rows)))
                if len(pending) >= self.settings.decoding.questions_at_once:
                    flush()

            def flush() -> None:
                for example, decoded in self._decode(pending):
                    write(example, decoded, self.null_threshold)
                pending.clear()

            yield sink
            flush()

    def decode(self, windows: Sequence[Features], rows: Sequence[Logits]) -> Decoded:
        """Ranks the answers to one question from the model's outputs for its windows."""
        question = question_logits(windows, rows)
        return decode(question.windows, question.logits, self._span_text, self.settings.decoding)

    def soft_target_shape(self) -> tuple[int | None, ...]:
        """Scores of a start and of an end, for each token."""
        return (None, 2)

    def soft_target_places(self, window: Features) -> int:
        """Its tokens."""
        return len(window["input_ids"])

    def soft_targets(self, outputs: Mapping[str, Any], window: Features) -> Scores:
        """Scores of its tokens `[n, 2]`."""
        length = len(window["input_ids"])
        scores = [outputs[name][:length] for name in ("start_logits", "end_logits")]
        return np.stack(scores, axis=-1).astype(np.float32)

    def without_label(self, example: SquadExample) -> SquadExample:
        """As it is: a question to predict has no positions, and records have 0 in their place."""
        return example

    def row_results(self, answered: AnsweredRows) -> RowResults:
        """F1 of each answer, as the official script has it."""
        parts: list[tuple[float, float]] = []
        answers: list[str] = []
        for example, windows, outputs in answered:
            decoded = self.decode(windows, [(output["start_logits"], output["end_logits"]) for output in outputs])
            text = decoded.answer(self.null_threshold).text
            best = decoded.best.text if decoded.best else ""
            scored = metrics.ScoredAnswer(example, text, best, decoded.null_odds)
            parts.append((metrics.scores([scored], self._version_2)["eval_f1"] / 100.0, 1.0))
            answers.append(text)
        return RowResults.of_parts("f1", parts, answers)

    def text_signature(self) -> TextSignature:
        """Raw `question` and `context` -> answer text, offsets and scores."""
        from tasks.span.signature import SpanTextSignature

        return SpanTextSignature(self.tokenizer, self.settings, self.null_threshold)

    def _decoded(self, split: str, collected: Collected) -> Iterator[tuple[SquadExample, Decoded]]:
        """Every question of a split with what the collected logits say, in order."""
        rows = iter(zip(collected["start_logits"], collected["end_logits"], strict=True))
        questions = (
            (example, question_logits(windows, list(itertools.islice(rows, len(windows)))))
            for example, windows in self.again(split)
        )
        for together in chunked(questions, self.settings.decoding.questions_at_once):
            yield from self._decode(together)
        if next(rows, None) is not None:
            raise ValueError(f"more rows were evaluated than the {split} split has windows")

    def _decode(
        self, questions: Sequence[tuple[SquadExample, QuestionLogits]]
    ) -> Iterator[tuple[SquadExample, Decoded]]:
        """Ranks the answers to questions, all together."""
        decoded = decode_all([question for _, question in questions], self._span_text, self.settings.decoding)
        return zip([example for example, _ in questions], decoded, strict=True)

    def _scores(self) -> dict[str, float]:
        scored = (
            metrics.ScoredAnswer(
                example,
                decoded.answer(self.null_threshold).text,
                decoded.best.text if decoded.best else "",
                decoded.null_odds,
            )
            for example, decoded in self._evaluated
        )
        return metrics.scores(scored, self._version_2)
