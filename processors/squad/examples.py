"""Questions on contexts, from nested SQuAD JSON: versions 1.1 and 2.0, and the Chinese sets of the same form."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.reading import open_text
from processors.squad.passages import Passage

LISTED = 20
"""Most question ids that a report line names."""


@dataclasses.dataclass(frozen=True, slots=True)
class GoldAnswer:
    """One reference answer: its text and the character of the context that it starts at (None if not given)."""

    text: str
    start: int | None = None


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

    Args:
      path: the JSON file, compressed or not.
      learns: give each example the position of an answer (training and evaluation).
      is_training: leave out a question whose answer is not where the file says; it has nothing to teach.
      version_2_with_negative: questions without an answer are allowed.
      skip_bad_answers: leave out (and count) also questions whose answer has an impossible `answer_start` or is
        nowhere in the context, in place of stopping.

    Attributes:
      num_read: questions given so far in the latest pass.
      left_out: id and reason of each question left out of the latest pass, or scored but without a position.
    """

    def __init__(
        self,
        path: Path,
        learns: bool = True,
        is_training: bool = True,
        version_2_with_negative: bool = False,
        skip_bad_answers: bool = False,
    ) -> None:
        self.path = path
        self.num_read = 0
        self.left_out: list[tuple[str, str]] = []
        self._learns = learns
        self._is_training = is_training
        self._version_2 = version_2_with_negative
        self._skip_bad_answers = skip_bad_answers

    def __iter__(self) -> Iterator[SquadExample]:
        """Yields the examples in file order.

        Raises:
          DataError: the file is not of this form; file, article, paragraph and question are named.
        """
        self.num_read, self.left_out = 0, []
        seen: set[str] = set()
        for where, context, questions in self._paragraphs():
            passage = Passage(context)
            for number, question in enumerate(questions, 1):
                example = self._example(question, passage, f"{where}, question {number}", seen)
                if example is not None:
                    self.num_read += 1
                    yield example

    def report(self) -> str:
        """How many questions of the latest pass could not be used, why, and which."""
        total = self.num_read + (len(self.left_out) if self._is_training else 0)
        reasons: dict[str, list[str]] = {}
        for qas_id, reason in self.left_out:
            reasons.setdefault(reason, []).append(qas_id)
        verb = "left out" if self._is_training else "without a gold position (scored by text)"
        parts = [
            f"{len(ids)} ({reason}): {', '.join(ids[:LISTED])}{', ...' if len(ids) > LISTED else ''}"
            for reason, ids in reasons.items()
        ]
        return f"{self.path}: {len(self.left_out)} of {total} questions {verb}: {'; '.join(parts)}"

    def _paragraphs(self) -> Iterator[tuple[str, str, list[Any]]]:
        """Where each paragraph is, its context and its questions."""
        for number, article in enumerate(read_articles(self.path), 1):
            where = f"{self.path}: article {number}"
            for index, paragraph in enumerate(_list_of(article, "paragraphs", where), 1):
                place = f"{where}, paragraph {index}"
                context = paragraph.get("context") if isinstance(paragraph, dict) else None
                if not isinstance(context, str):
                    raise DataError(f"{place}: has no context; expected a text under 'context'; add it")
                yield place, context, _list_of(paragraph, "qas", place)

    def _example(self, question: Any, passage: Passage, where: str, seen: set[str]) -> SquadExample | None:
        if not isinstance(question, dict) or not isinstance(question.get("question"), str):
            raise DataError(f"{where}: has no question; expected a text under 'question'; add it")
        if question.get("id") is None:
            raise DataError(f"{where}: has no id; expected a unique text under 'id'; add one")
        qas_id = str(question["id"])
        if qas_id in seen:
            raise DataError(f"{where}: id {one_line(qas_id)} is given twice; expected unique ids; rename one")
        seen.add(qas_id)
        where = f"{where} ({one_line(qas_id)})"
        answers = tuple(_gold_answers(question, where)) if self._learns else ()
        impossible = self._version_2 and self._learns and bool(question.get("is_impossible", not answers))
        example = SquadExample(qas_id, question["question"], passage, answers, is_impossible=impossible)
        if impossible:
            example.answers = ()
            example.orig_answer_text, example.start_position, example.end_position = "", -1, -1
            return example
        return self._located(example, where) if self._learns else example

    def _located(self, example: SquadExample, where: str) -> SquadExample | None:
        """Gives the example the position of its answer; None if it is left out."""
        if not example.answers:
            raise DataError(
                f"{where}: has no answers; expected at least one; set --version_2_with_negative if questions may be "
                "unanswerable, or remove the question"
            )
        problem = ""
        # Training learns the first answer; evaluation takes the first answer found; its loss is only indicative.
        for answer in example.answers[: 1 if self._is_training else None]:
            problem = self._place(example, answer, where)
            if not problem:
                return example
        self.left_out.append((example.qas_id, problem))
        return None if self._is_training else example

    def _place(self, example: SquadExample, answer: GoldAnswer, where: str) -> str:
        """Sets the positions of an answer; otherwise returns why that cannot be done."""
        passage = example.passage
        wanted = " ".join(answer.text.split())
        fault = _answer_fault(passage, answer, wanted)
        if fault:
            if self._is_training and not self._skip_bad_answers:
                raise DataError(f"{where}: {fault}; correct the file, or give --on_bad_row=skip")
            return fault
        first = passage.word_at(answer.start or 0)
        last = passage.word_at((answer.start or 0) + len(answer.text) - 1)
        if first < 0 or wanted not in passage.words_text(first, last):
            return "answer is not at its answer_start"
        example.orig_answer_text, example.start_position, example.end_position = answer.text, first, last
        return ""


def read_articles(path: Path) -> list[dict[str, Any]]:
    """The `data` list of a SQuAD file.

    Raises:
      DataError: the file cannot be read, is not JSON, or has no list under `data`.
    """
    with open_text(path) as lines:
        text = "".join(lines)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: is not JSON ({error.msg}, column {error.colno}); expected a SQuAD file; "
            "check that it is whole and the right one"
        ) from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        raise DataError(f"{path}: is not JSON that can be read ({one_line(error)}); expected a SQuAD file") from None
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise DataError(
            f"{path}: has no list under 'data'; expected the nested form of SQuAD, "
            '{"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]}; convert the file'
        )
    return content["data"]


def _list_of(holder: Any, key: str, where: str) -> list[Any]:
    values = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(values, list):
        raise DataError(f"{where}: has no list under '{key}'; expected the nested form of SQuAD; add it")
    return values


def _gold_answers(question: dict[str, Any], where: str) -> Iterator[GoldAnswer]:
    answers = question.get("answers", [])
    if not isinstance(answers, list):
        raise DataError(f"{where}: 'answers' is {one_line(repr(answers))}; expected a list of text and answer_start")
    for answer in answers:
        text = answer.get("text") if isinstance(answer, dict) else None
        start = answer.get("answer_start") if isinstance(answer, dict) else None
        if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int | None):
            raise DataError(
                f"{where}: answer {one_line(repr(answer))} is unusable; expected a text under 'text' and a whole "
                "number under 'answer_start'; correct it"
            )
        yield GoldAnswer(text, start)


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
    if answer.text not in passage.text and wanted not in passage.joined:
        return f"answer {one_line(repr(answer.text))} is not in the context; expected characters copied from it"
    return ""
