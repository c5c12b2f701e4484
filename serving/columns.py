"""What a text signature is run with: lists of texts by input name, checked before an engine takes them."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import DataError, one_line


def checked(inputs: Mapping[str, Sequence[Any]], names: Sequence[str], required: Sequence[str]) -> dict[str, list[Any]]:
    """The inputs, all of one length.

    Args:
      inputs: by name; one text of an input that may be left out holds for every row.
      names: of all inputs of the signature.
      required: those that cannot be left out.

    Raises:
      DataError: an unknown or missing name, no list, lists of different lengths.
    """
    optional = sorted(set(names) - set(required))
    takes = ", ".join([*required, *(f"{name} (optional)" for name in optional)])
    for name in inputs:
        if name not in names:
            raise DataError(f"unknown input {one_line(repr(name), 80)}; the text signature takes {takes}")
    for name in required:
        if name not in inputs:
            raise DataError(f"input {name!r} is missing; the text signature takes {takes}")
    for name, values in inputs.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise DataError(f"input {name!r} is a {type(values).__name__}, expected a list of texts")
    rows = len(inputs[required[0]])
    return {name: _of_length(rows, name, list(values), required) for name, values in inputs.items()}


def _of_length(rows: int, name: str, values: list[Any], required: Sequence[str]) -> list[Any]:
    if len(values) == rows:
        return values
    if len(values) == 1 and name not in required:
        return values * rows
    raise DataError(f"input {name!r} has {len(values)} texts, {required[0]!r} has {rows}; give equally many")
