"""The cell of a label -> what `InputExample.label` holds, and the labels that a file has."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, closest, one_line
from processors.base import InputExample

_FEW_VALUES = 20
"""More distinct fractions than this in a label column are measurements, not classes."""


class RowError(Exception):
    """A row that cannot be used: a reason to count it under, a message without file and row, what is left of it."""

    def __init__(self, reason: str, message: str, kept: InputExample | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.kept = kept


class LabelReader:
    """Reads label cells of one problem type.

    Where labels are names, a cell may hold the index of a label instead, as multi-label data sets are often
    published: an index counts from 0 in the order of the labels, and is taken as such only where no label is itself a
    number.

    Args:
      problem_type: `"single_label"`, `"regression"` or `"multi_label"`.
      labels: label names; None takes any (to find out which there are).
      separator: between the labels of one cell (multi_label).
      rename: label as written -> label name.
    """

    def __init__(
        self,
        problem_type: str,
        labels: Sequence[str] | None,
        separator: str = ",",
        rename: Mapping[str, str] | None = None,
    ) -> None:
        self._problem_type = problem_type
        self._labels = None if labels is None else frozenset(labels)
        self._rename = rename or {}
        self._separator = separator
        by_index = bool(labels) and not any(label.isdecimal() for label in labels or ())
        self._by_index = {str(index): label for index, label in enumerate(labels or ())} if by_index else {}

    def read(self, cell: Any) -> str | float | tuple[str, ...] | None:
        """The label in `cell`: a name, a number, or several names; None where the cell is blank.

        Raises:
          RowError: a label that is not among the labels, or no number.
        """
        if self._problem_type == "regression":
            return self._number(cell)
        if self._problem_type == "multi_label":
            parts = cell if isinstance(cell, list) else cell.split(self._separator)
            names = [self._name(part.strip()) for part in parts if part.strip()]
            return tuple(dict.fromkeys(names)) if names or isinstance(cell, list) else None
        if isinstance(cell, list):
            advice = "for several labels a row give --problem_type=multi_label"
            raise RowError("unknown label", f"found a list of {len(cell)}, expected one label; {advice}")
        return self._name(cell.strip()) if cell.strip() else None

    def is_label(self, cell: str) -> bool:
        """Whether `cell` holds nothing but known labels."""
        try:
            return self._labels is not None and self.read(cell) is not None
        except RowError:
            return False

    def _name(self, text: str) -> str:
        name = self._rename.get(text, text)
        if self._labels is None or name in self._labels:
            return name
        if name in self._by_index:
            return self._by_index[name]
        raise RowError(
            "unknown label",
            f"found label {one_line(repr(name), 80)}, {one_line(closest(name, self._labels))}; "
            "correct the row, add it to --labels, or skip such rows with --on_bad_row=skip",
        )

    def _number(self, cell: Any) -> float | None:
        text = cell if isinstance(cell, str) else repr(cell)
        if not text.strip():
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise RowError(
                "not a number",
                f"found {one_line(repr(text), 80)}, expected a finite number for --problem_type=regression; "
                "correct the row, or skip such rows with --on_bad_row=skip",
            )
        return value


def ordered(labels: Counter[str], path: Path, problem_type: str) -> list[str]:
    """The labels that training rows have, in the order of the classes: by number if all are integers, else by name.

    Args:
      labels: how often each occurs.
      path: the file they come from, for messages.
      problem_type: `"single_label"` or `"multi_label"`.

    Raises:
      DataError: fewer than two labels, or so many that the column is no label.
    """
    rows = labels.total()
    if problem_type == "single_label":
        if len(labels) < 2:
            raise DataError(
                f"{path}: every row has label {next(iter(labels), None)!r}, expected at least two; "
                "check --label, or name all with --labels"
            )
        fractions = all(map(_is_number, labels)) and not all(map(_is_integer, labels))
        if fractions and (len(labels) > _FEW_VALUES or 2 * len(labels) > rows):
            raise DataError(
                f"{path}: the label column has {len(labels)} different fractions in {rows} rows, expected a few "
                "classes; for scores give --problem_type=regression"
            )
        if rows > _FEW_VALUES and 2 * len(labels) > rows:
            raise DataError(
                f"{path}: the label column has {len(labels)} different values in {rows} rows, expected a few classes; "
                "check --label, or list the classes with --labels"
            )
    return sorted(labels, key=int) if all(map(_is_integer, labels)) else sorted(labels)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
