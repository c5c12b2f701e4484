"""Inputs that are a list of texts a row, such as the choices of a question."""

from collections.abc import Sequence
from typing import Any

from processors.reading import lone_surrogate

FEWEST = 2


def fault(value: Any) -> str:
    """What is wrong with a list of texts, to stand behind its name; "" where nothing is. Blank texts are none."""
    if value is None:
        return "is missing; give a list of texts"
    if not isinstance(value, list | tuple):
        return f"is a {type(value).__name__}, expected a list of texts"
    other = next((one for one in value if one is not None and not isinstance(one, str)), None)
    if other is not None:
        return f"has a {type(other).__name__}, expected texts"
    count = sum(bool(one and one.strip()) for one in value)
    if count < FEWEST:
        return f"has {count} text{'s' * (count != 1)}, expected at least two"
    return (
        "has half a character; correct how the text was read" if any(lone_surrogate(one or "") for one in value) else ""
    )


def length(value: str | Sequence[str | None] | None) -> int:
    """Characters of a text, or of all in a list."""
    return len(value or "") if value is None or isinstance(value, str) else sum(len(one or "") for one in value)


def rectangular(rows: Sequence[Sequence[str | None]]) -> list[list[str]]:
    """Lists of the length of the longest, filled up with ""."""
    longest = max(map(len, rows), default=0)
    return [[*(one or "" for one in row), *[""] * (longest - len(row))] for row in rows]
