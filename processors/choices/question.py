"""A question with its choices, as it is read and once it is checked."""

import dataclasses
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

from common.errors import one_line
from processors.reading import lone_surrogate
from processors.tables.labels import RowError

TEXT, INDEX, LETTER = "text", "index", "letter"
LABELS_AS = (TEXT, INDEX, LETTER)
"""What says which choice is right: its text, its place from 0, or its letter from A."""
FEWEST = 2
_SKIP = "correct the row, or skip such rows with --on_bad_row=skip"


@dataclasses.dataclass(frozen=True)
class ChoiceQuestion:
    """A question that can be answered.

    Args:
      guid: unique within its split.
      context: what the question is about; "" where there is none.
      question: "" where the choices go on from the context.
      choices: the text of each place; "" where a place has no choice, which happens in any place.
      label: place of the right choice, from 0; None where it is not known.
    """

    guid: str
    context: str
    question: str
    choices: tuple[str, ...]
    label: int | None = None


class RawQuestion(NamedTuple):
    """A question as a file has it, unchecked; `label` None where the file does not say."""

    guid: str
    context: Any
    question: Any
    choices: Sequence[Any]
    label: Any = None


def is_blank(text: str) -> bool:
    """Whether a cell holds nothing to read."""
    return not text.strip()


def checked(raw: RawQuestion, label_as: str, is_test: bool, max_choices: int | None = None) -> ChoiceQuestion:
    """The question, once it is known that it can be answered; of a question to predict the label is not read.

    Args:
      raw: as read.
      label_as: one of `LABELS_AS`.
      is_test: whether it is to be predicted.
      max_choices: most places that are taken; None for any number.

    Raises:
      RowError: a part that is no text, fewer than two choices, more than `max_choices`, nothing to choose by, a label
        that is missing or names no choice, an answer that equals two choices.
    """
    context, question = _text(raw.context, "context"), _text(raw.question, "question")
    choices = [_text(choice, f"choice {place}") for place, choice in enumerate(raw.choices)]
    while choices and is_blank(choices[-1]):
        choices.pop()
    count = sum(not is_blank(choice) for choice in choices)
    if count < FEWEST:
        raise RowError("too few choices", f"has {count} choice{'s' * (count != 1)}, expected at least two; {_SKIP}")
    if max_choices is not None and len(choices) > max_choices:
        raise RowError(
            "too many choices",
            f"has {len(choices)} choices, expected at most {max_choices} (--max_choices); raise it, or {_SKIP}",
        )
    if is_blank(context) and is_blank(question):
        raise RowError("no question", f"has neither a context nor a question, expected one to choose by; {_SKIP}")
    label = None if is_test else _label(raw.label, choices, label_as)
    return ChoiceQuestion(raw.guid, context, question, tuple(choices), label)


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        found = f"a JSON {type(value).__name__} ({one_line(value, 60)})"
        raise RowError("no text", f"{name} is {found}, expected text; {_SKIP}")
    text = str(value)
    half = lone_surrogate(text)
    if half is not None:
        raise RowError("half a character", f"{name} holds half a character (U+{ord(half):04X}); {_SKIP}")
    return "" if is_blank(text) else text


def _label(cell: Any, choices: Sequence[str], label_as: str) -> int:
    """Place of the right choice."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | None):
        raise RowError("no label", f"label is {one_line(repr(cell), 60)}, expected {_expected(label_as)}; {_SKIP}")
    text = "" if cell is None else str(cell).strip()
    if not text:
        raise RowError("missing label", f"has no label, expected {_expected(label_as)}; {_SKIP}")
    place = _BY_KIND[label_as](text, choices)
    if place is None:
        raise RowError(
            "unknown label",
            f"label {one_line(repr(text), 60)} is none of the {len(choices)} choices "
            f"({one_line(' | '.join(choices), 120)}), expected {_expected(label_as)} (--label_as={label_as}); {_SKIP}",
        )
    answer = choices[place].strip()
    equal = [other for other, choice in enumerate(choices) if choice.strip() == answer]
    if len(equal) > 1:
        raise RowError(
            "equal choices",
            f"the answer {one_line(repr(answer), 60)} equals choices {equal[0]} and {equal[1]}, expected one that is "
            f"right; {_SKIP}",
        )
    return place


def _by_text(text: str, choices: Sequence[str]) -> int | None:
    return next((place for place, choice in enumerate(choices) if choice.strip() == text), None)


def _by_index(text: str, choices: Sequence[str]) -> int | None:
    place = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else -1
    return place if 0 <= place < len(choices) and not is_blank(choices[place]) else None


def _by_letter(text: str, choices: Sequence[str]) -> int | None:
    place = string.ascii_uppercase.find(text.upper()) if len(text) == 1 else -1
    return place if 0 <= place < len(choices) and not is_blank(choices[place]) else None


_BY_KIND = {TEXT: _by_text, INDEX: _by_index, LETTER: _by_letter}


def _expected(label_as: str) -> str:
    return {TEXT: "the text of a choice", INDEX: "the place of a choice from 0", LETTER: "a letter from A"}[label_as]
