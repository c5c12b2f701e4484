"""The forms that files of questions come in, as paragraphs: a context and its questions.

    {"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]}     SQuAD's own
    {"context": ..., "question": ..., "id": ..., "answers": ...}     rows, as Hugging Face's `datasets` writes them
    {"context": ..., "qas": [...]}                                   lines of MRQA, after a line with a header

Articles, rows and paragraphs may be in a list under `data`, in a list alone, or one a line.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import DataError, one_line
from processors.json_stream import JsonStream
from processors.reading import LARGEST_VALUE, lone_surrogate, open_characters

_EXPECTED = (
    "a SQuAD file ({\"data\": [{\"paragraphs\": [...]}]}), or rows with id, context, question and answers; check that "
    "it is whole and the right one"
)  # fmt: skip


class QuestionError(Exception):
    """Why a question cannot be used."""


class GoldAnswer(NamedTuple):
    """One reference answer: its text and the character of the context that it starts at (None if not given)."""

    text: str
    start: int | None = None


class Paragraph(NamedTuple):
    """A context and what is asked of it, unchecked.

    Args:
      context: should be a text.
      questions: where each is, and what is there.
      where: file and place.
    """

    context: Any
    questions: list[tuple[str, Any]]
    where: str


def read_paragraphs(path: Path, encoding: str | None = None) -> Iterator[Paragraph]:
    """Yields the paragraphs of a file in order; articles are read one after the other.

    Raises:
      DataError: the file cannot be read, is not JSON, or of none of the forms.
    """
    with open_characters(path, encoding) as text:
        for where, value in _articles(JsonStream(text, path, _EXPECTED), path):
            yield from _paragraphs(value, where)


def _articles(stream: JsonStream, path: Path) -> Iterator[tuple[str, Any]]:
    """What a file lists, and where: articles, rows or paragraphs."""
    start = stream.peek()
    if start == "[":
        yield from _numbered(stream, path)
        stream.end()
    elif start == "{":
        yield from _listed_in_object(stream, path)
    else:
        found = f"begins with {start!r}" if start else "is empty"
        raise DataError(f"{path}: {found}; expected {_EXPECTED}")


def _listed_in_object(stream: JsonStream, path: Path) -> Iterator[tuple[str, Any]]:
    """What is in the list under `data`; without one, the object is the first of many, one a line."""
    line, others, has_data = stream.line, dict[str, Any](), False
    for key in stream.object_keys():
        if key == "data" and not has_data and stream.peek() == "[":
            has_data = True
            yield from _numbered(stream, path)
        elif has_data:
            stream.value()
        elif stream.position > LARGEST_VALUE:
            raise _other_form(path, others)
        else:
            others[key] = stream.value()
    if has_data:
        stream.end()
        return
    if "context" in others:
        yield f"{path}:{line}", others
    elif "header" not in others:
        raise _other_form(path, others)
    while stream.peek():
        yield f"{path}:{stream.line}", stream.value()


def _numbered(stream: JsonStream, path: Path) -> Iterator[tuple[str, Any]]:
    for number, value in enumerate(stream.items(), 1):
        yield f"{path}: {'row' if _is_row(value) else 'article'} {number}", value


def _other_form(path: Path, found: dict[str, Any]) -> DataError:
    keys = ", ".join(map(repr, found)) or "none"
    return DataError(f"{path}: has no list under 'data', found the keys {one_line(keys, 100)}; expected {_EXPECTED}")


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and "context" in value and "paragraphs" not in value


def _paragraphs(value: Any, where: str) -> Iterator[Paragraph]:
    if _is_row(value) and "qas" not in value:
        yield Paragraph(value["context"], [(where, value)], where)
    elif _is_row(value):
        yield _paragraph(value, where)
    else:
        for number, paragraph in enumerate(_list_of(value, "paragraphs", where), 1):
            yield _paragraph(paragraph, f"{where}, paragraph {number}")


def _paragraph(value: Any, where: str) -> Paragraph:
    questions = _list_of(value, "qas", where)
    numbered = [(f"{where}, question {number}", question) for number, question in enumerate(questions, 1)]
    return Paragraph(value.get("context"), numbered, where)


def _list_of(holder: Any, key: str, where: str) -> list[Any]:
    values = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(values, list):
        raise DataError(f"{where}: has no list under '{key}'; expected {_EXPECTED}")
    return values


def question_id(question: Any) -> str:
    """The id of a question as text: `id`, or MRQA's `qid`.

    Raises:
      QuestionError: there is none.
    """
    found = question.get("id", question.get("qid")) if isinstance(question, dict) else None
    if found is None or found == "":
        raise QuestionError("has no id; expected a unique text under 'id'")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise QuestionError(f"id is {one_line(repr(found), 60)}; expected a unique text under 'id'")
    return checked_text(str(found), "id")


def checked_text(value: Any, name: str) -> str:
    """A value that should be a text.

    Raises:
      QuestionError: it is none, or has half a character, which no file in UTF-8 can hold.
    """
    if not isinstance(value, str):
        found = "has no" if value is None else f"holds {one_line(repr(value), 60)} as"
        raise QuestionError(f"{found} {name}; expected a text under '{name}'")
    half = lone_surrogate(value)
    if half is not None:
        raise QuestionError(f"{name} has half a character (U+{ord(half):04X}); expected a text")
    return value


def is_impossible(question: dict[str, Any], answers: tuple[GoldAnswer, ...]) -> bool:
    """Whether the context does not answer a question: as it says, else where it has no answers.

    Raises:
      QuestionError: it says neither true nor false.
    """
    found = question.get("is_impossible")
    if found is None:
        return not answers
    if found not in (True, False):  # 0 and 1 are equal to them
        raise QuestionError(f"'is_impossible' is {one_line(repr(found), 60)}; expected true or false")
    return bool(found)


def gold_answers(question: dict[str, Any]) -> tuple[GoldAnswer, ...]:
    """The answers of a question: SQuAD's list, Hugging Face's lists of texts and starts, or MRQA's.

    Raises:
      QuestionError: they are of another form.
    """
    answers = question.get("answers")
    answers = [] if answers is None else answers
    if "detected_answers" in question:
        return _detected_answers(question["detected_answers"], answers)
    if isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise _unusable(answers)
        return tuple(_answer(text, start) for text, start in zip(texts, starts, strict=True))
    if not isinstance(answers, list):
        raise QuestionError(f"'answers' is {one_line(repr(answers), 60)}; expected a list of text and answer_start")
    found = []
    for answer in answers:
        if not isinstance(answer, dict):
            raise _unusable(answer)
        found.append(_answer(answer.get("text"), answer.get("answer_start")))
    return tuple(found)


def _detected_answers(detected: Any, answers: Any) -> tuple[GoldAnswer, ...]:
    """MRQA's answers: where they were found, then the texts that are scored."""
    found = []
    try:
        for answer in detected:
            found += [_answer(answer["text"], first) for first, _ in answer["char_spans"]]
    except (TypeError, KeyError, ValueError):
        raise QuestionError(
            f"'detected_answers' is {one_line(repr(detected), 60)}; expected a list of text and char_spans"
        ) from None
    texts = {answer.text for answer in found}
    others = [_answer(text, None) for text in answers] if isinstance(answers, list) else []
    return (*found, *(answer for answer in others if answer.text not in texts))


def _answer(text: Any, start: Any) -> GoldAnswer:
    if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int | None):
        raise _unusable({"text": text, "answer_start": start})
    return GoldAnswer(checked_text(text, "text"), start)


def _unusable(answer: Any) -> QuestionError:
    return QuestionError(
        f"answer {one_line(repr(answer), 80)} is unusable; expected a text under 'text' and a whole number under "
        "'answer_start'"
    )
