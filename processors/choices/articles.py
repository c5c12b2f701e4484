"""Questions as the publishers of RACE, DREAM and C3 lay them out: a text, and several questions on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError
from processors.choices.question import RawQuestion
from processors.choices.tables import Read
from processors.json_stream import JsonStream
from processors.reading import open_characters
from processors.tables.labels import RowError

_RACE = "RACE's objects with article, questions, options and answers"
_DIALOGUES = "a list of [lines, questions, id], where a question has question, choice and answer"


def read_race(path: Path, encoding: str | None = None) -> Iterator[Read]:
    """Yields the questions of one of RACE's files: an article, or one a line.

    Raises:
      DataError: it cannot be read, or is not JSON.
    """
    with open_characters(path, encoding) as text:
        stream = JsonStream(text, path, _RACE)
        while stream.peek():
            yield from _of_article(stream.line, stream.value())


def _of_article(line: int, value: Any) -> Iterator[Read]:
    names = ("questions", "options", "answers")
    if not isinstance(value, dict) or not all(isinstance(value.get(name), list) for name in names[:2]):
        yield line, RowError("another form", f"is no article, expected {_RACE}")
        return
    questions, options = value["questions"], value["options"]
    answers = value.get("answers", [None] * len(questions))  # a test set may keep them back
    counts = [len(one) if isinstance(one, list) else 0 for one in (questions, options, answers)]
    if len(set(counts)) > 1:
        told = ", ".join(f"{count} {name}" for count, name in zip(counts, names, strict=True))
        yield line, RowError("counts differ", f"article {value.get('id')} has {told}, expected equally many")
        return
    for number, (question, choices, answer) in enumerate(zip(questions, options, answers, strict=True), 1):
        guid = f"{value.get('id', line)}-{number}"
        yield line, _raw(guid, value.get("article"), question, choices, answer)


def read_dialogues(path: Path, encoding: str | None = None) -> Iterator[Read]:
    """Yields the questions of a file of DREAM or C3, whose texts are counted from 1.

    Raises:
      DataError: it cannot be read, or is not JSON.
    """
    with open_characters(path, encoding) as text:
        stream = JsonStream(text, path, _DIALOGUES)
        if stream.peek() != "[":
            raise DataError(f"{path}: begins with {stream.peek()!r}, expected {_DIALOGUES}; check that it is the file")
        for number, item in enumerate(stream.items(), 1):
            yield from _of_dialogue(number, item)
        stream.end()


def _of_dialogue(number: int, item: Any) -> Iterator[Read]:
    where = f"text {number}"
    is_one = isinstance(item, list) and len(item) >= 2 and isinstance(item[0], list) and isinstance(item[1], list)
    if not is_one:
        yield where, RowError("another form", f"is no text with questions, expected {_DIALOGUES}")
        return
    context = "\n".join(line for line in item[0] if isinstance(line, str))
    name = item[2] if len(item) > 2 else number
    for place, one in enumerate(item[1], 1):
        if not isinstance(one, dict):
            yield where, RowError("another form", f"question {place} is no object, expected {_DIALOGUES}")
            continue
        yield (
            f"{where}, question {place}",
            _raw(f"{name}-{place}", context, one.get("question"), one.get("choice"), one.get("answer")),
        )


def _raw(guid: str, context: Any, question: Any, choices: Any, label: Any) -> RawQuestion | RowError:
    if not isinstance(choices, list):
        return RowError("no choices", f"question {guid} has no list of choices; correct the file")
    return RawQuestion(guid, context, question, choices, label)
