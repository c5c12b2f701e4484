"""Questions on contexts as examples: SQuAD 1.1 and 2.0, and sets of the same kind."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.squad.forms import (
    GoldAnswer,
    Paragraph,
    QuestionError,
    checked_text,
    gold_answers,
    is_impossible,
    question_id,
    read_paragraphs,
)
from processors.squad.passages import Passage

LISTED = 20
"""Most question ids that a report line names."""

Finding = tuple[str, str]
"""The id of a question, or where it is, and what was found."""


@dataclasses.dataclass(slots=True)
class SquadExample:
    """One question on a context.

    Args:
      qas_id: the id under which the answer is filed.
      question_text: not tokenized.
      passage: the context; its questions share one.
      answers: all reference answers, for scoring.
      orig_answer_text: the answer to learn; None where there is none to learn.
      start_position: first word of that answer; -1 for an unanswerable question.
      end_position: its last word.
      is_impossible: whether the context does not answer the question.

    Source: `SquadExample` of google-research/bert.
    """

    qas_id: str
    question_text: str
    passage: Passage
    answers: tuple[GoldAnswer, ...] = ()
    orig_answer_text: str | None = None
    start_position: int | None = None
    end_position: int | None = None
    is_impossible: bool = False

    @property
    def doc_tokens(self) -> list[str]:
        """The words of the context."""
        return self.passage.words


class SquadReader:
    """Reads one file; counts what it had to leave out.

    Where a question has the id of an earlier one, training stops (the file is not what it should be), while evaluation
    and prediction answer and score both: the later one under an id of its own, which ends in `#2`, so that no answer
    takes the place of another's in files and scores by id.

    Args:
      path: the file, compressed or not, in one of the forms of `processors.squad.forms`.
      learns: give each example the position of an answer (training and evaluation).
      is_training: leave out a question whose answer is not where the file says; it has nothing to teach.
      version_2_with_negative: questions without an answer are allowed.
      skip_bad_questions: leave out (and count) questions that cannot be used, in place of stopping.
      encoding: of the file, as for `processors.reading.open_text`.

    Attributes:
      num_read: questions given so far in the latest pass.
      left_out: questions left out of the latest pass, each with the reason.
      unplaced: questions evaluated by the text of their answers alone, each with the reason.
      shifted: questions whose answer does not begin at its `answer_start`, so that words beside it are learnt, too.
      renamed: ids that were taken, each with the one used instead.
    """

    def __init__(
        self,
        path: Path,
        learns: bool = True,
        is_training: bool = True,
        version_2_with_negative: bool = False,
        skip_bad_questions: bool = False,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self._learns = learns
        self._is_training = is_training
        self._version_2 = version_2_with_negative
        self._skips = skip_bad_questions
        self._encoding = encoding
        self._begin()

    def _begin(self) -> None:
        self.num_read = 0
        self.left_out: list[Finding] = []
        self.unplaced: list[Finding] = []
        self.shifted: list[Finding] = []
        self.renamed: list[Finding] = []
        self._ids: set[str] = set()

    def __iter__(self) -> Iterator[SquadExample]:
        """Yields the examples in file order.

        Raises:
          DataError: the file is not of a known form, or a question cannot be used; its place is named.
        """
        self._begin()
        passage = None
        for paragraph in read_paragraphs(self.path, self._encoding):
            if passage is None or paragraph.context != passage.text:  # rows repeat the context
                passage = self._passage(paragraph)
            if passage is None:
                continue
            for where, question in paragraph.questions:
                example = self._example(question, passage, where)
                if example is not None:
                    self.num_read += 1
                    yield example

    def report(self) -> str:
        """What was found in the latest pass: questions left out or not placed, why, and which; "" for nothing."""
        total = self.num_read + len(self.left_out)
        parts = [
            f"{len(found)} of {total} questions {what}: {_by_reason(found)}"
            for what, found in (
                ("left out", self.left_out),
                ("without a gold position (scored by text)", self.unplaced),
                ("learnt with words beside their answer", self.shifted),
            )
            if found
        ]
        if self.renamed:
            listed = ", ".join(f"{one_line(old)} -> {one_line(new)}" for old, new in self.renamed[:LISTED])
            parts.append(
                f"{len(self.renamed)} of {total} questions have the id of an earlier one and are answered and scored "
                f"on their own under another: {listed}{', ...' if len(self.renamed) > LISTED else ''}"
            )
        return f"{self.path}: {'; '.join(parts)}" if parts else ""

    def _passage(self, paragraph: Paragraph) -> Passage | None:
        """The context of a paragraph; None where its questions are left out."""
        try:
            return Passage(checked_text(paragraph.context, "context"))
        except QuestionError as error:
            if not self._skips:
                raise DataError(f"{paragraph.where}: {error}; {_ADVICE}") from None
            self.left_out += [(where, str(error)) for where, _ in paragraph.questions]
            return None

    def _example(self, question: Any, passage: Passage, where: str) -> SquadExample | None:
        """The example of a question; None if it is left out."""
        name = ""
        try:
            name = question_id(question)
            example = self._checked(question, passage, name)
        except QuestionError as error:
            shown = f"{where} ({one_line(name)})" if name else where
            if not self._skips:
                raise DataError(f"{shown}: {error}; {_ADVICE}") from None
            self.left_out.append((name or where, str(error)))
            return None
        return example

    def _checked(self, question: dict[str, Any], passage: Passage, name: str) -> SquadExample | None:
        if name in self._ids and self._is_training:
            raise QuestionError(f"id {one_line(name)} is given twice; expected unique ids")
        text = checked_text(question.get("question"), "question")
        answers = gold_answers(question) if self._learns else ()
        impossible = self._version_2 and self._learns and is_impossible(question, answers)
        example = SquadExample(name, text, passage, answers, is_impossible=impossible)
        if impossible:
            example.answers = ()
            example.orig_answer_text, example.start_position, example.end_position = "", -1, -1
        elif self._learns and not self._located(example):
            return None
        example.qas_id = self._own_id(name)
        return example

    def _own_id(self, name: str) -> str:
        """An id that no earlier question has, and takes it."""
        own, number = name, 1
        while own in self._ids:
            number += 1
            own = f"{name}#{number}"
        if own != name:
            self.renamed.append((name, own))
        self._ids.add(own)
        return own

    def _located(self, example: SquadExample) -> bool:
        """Gives the example the position of its answer; says whether the example can be used."""
        if not example.answers:
            advice = "" if self._version_2 else "; set --version_2_with_negative if questions may be unanswerable"
            raise QuestionError(f"has no answers; expected at least one{advice}")
        problem = ""
        # Training learns the first answer; evaluation takes the first answer found; its loss is only indicative.
        for answer in example.answers[: 1 if self._is_training else None]:
            problem = self._place(example, answer)
            if not problem:
                return True
        findings = self.left_out if self._is_training else self.unplaced
        findings.append((example.qas_id, problem))
        return not self._is_training

    def _place(self, example: SquadExample, answer: GoldAnswer) -> str:
        """Sets the positions of an answer; otherwise returns why that cannot be done."""
        passage = example.passage
        wanted = _single_spaced(answer.text)
        fault = _answer_fault(passage, answer, wanted)
        if fault:
            if self._is_training:
                raise QuestionError(fault)
            return fault
        first = passage.word_at(answer.start or 0)
        last = passage.word_at((answer.start or 0) + len(answer.text) - 1)
        if first < 0 or not _holds(passage.words_text(first, last), wanted):
            return "answer is not at its answer_start"
        example.orig_answer_text, example.start_position, example.end_position = answer.text, first, last
        if self._is_training and not _covers(passage, first, last, answer, wanted):
            self.shifted.append((example.qas_id, "answer_start is not where the answer begins"))
        return ""


_ADVICE = "correct the file, or give --on_bad_row=skip"


def _by_reason(findings: list[Finding]) -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in findings:
        reasons.setdefault(reason, []).append(one_line(name))
    return "; ".join(
        f"{len(names)} ({reason}): {', '.join(names[:LISTED])}{', ...' if len(names) > LISTED else ''}"
        for reason, names in itertools.islice(reasons.items(), LISTED)
    )


def _covers(passage: Passage, first: int, last: int, answer: GoldAnswer, wanted: str) -> bool:
    """Whether the words from `first` to `last` are those of an answer, and none beside it."""
    start, length = answer.start or 0, len(answer.text)
    if _single_spaced(passage.text[start : start + length]) == wanted:
        return True
    begin = passage.text.find(answer.text, passage.starts[first])
    return begin >= 0 and (passage.word_at(begin), passage.word_at(begin + length - 1)) == (first, last)


def _single_spaced(text: str) -> str:
    return " ".join(text.split())


def _holds(text: str, wanted: str) -> bool:
    """Whether a text has another in it, whatever blanks it has: a non-breaking or ideographic one is inside a word."""
    return wanted in text or wanted in _single_spaced(text)


def _answer_fault(passage: Passage, answer: GoldAnswer, wanted: str) -> str:
    """What no file should contain; "" where there is nothing of it."""
    length = len(passage.text)
    if not wanted:
        return "answer text is empty; expected characters of the context"
    if answer.start is None:
        return f"answer {one_line(repr(answer.text))} has no answer_start; expected its first character in the context"
    if not 0 <= answer.start < length or answer.start + len(answer.text) > length:
        return (
            f"answer_start {answer.start} is out of range for answer {one_line(repr(answer.text))}; "
            f"expected it to lie within the {length} characters of the context"
        )
    if answer.text not in passage.text and not _holds(passage.joined, wanted):
        return f"answer {one_line(repr(answer.text))} is not in the context; expected characters copied from it"
    return ""
