"""The cell of a label -> what `InputExample.label` holds, and the labels that a file has."""

import ast
import logging
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, closest, one_line
from processors.base import InputExample
from processors.problem_types import LARGEST_FLOAT32, PROBLEM_TYPES, ProblemType

log = logging.getLogger(__name__)

NAME, INDEX = "name", "index"
LABELS_AS = (NAME, INDEX)
"""What a label cell holds: a label's name, or its index in `--labels`, from 0."""

Label = str | float | tuple[str, ...] | None

_FEW_VALUES = 20
"""More distinct fractions than this in a label column are measurements, not classes."""
_LONGEST_LIST = 1 << 16
"""Characters of a list in a cell, as in `['joy', 'fear']`, that are parsed at most."""
_MOST_PAIRS = 3
"""Pairs of labels that look the same which are named."""
_SEPARATORS = (",", ";", "|")
"""What other tools put between the labels of a cell."""
_EXACT_DIGITS = 16
"""Numbers of fewer characters are told apart by a float."""
_YES, _NO = {"1", "1.0", "true"}, {"0", "0.0", "false"}


class RowError(Exception):
    """A row that cannot be used.

    Args:
      reason: to count it under.
      message: without file and row; or a function that gives it, where that takes long: rows are skipped without it.
      where: column, before the message.
    """

    def __init__(self, reason: str, message: str | Callable[[], str], where: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self._message, self._where = message, where

    def __str__(self) -> str:
        return self._where + (self._message if isinstance(self._message, str) else self._message())

    def at(self, where: str) -> "RowError":
        """The error with the column before its message."""
        return RowError(self.reason, self._message, where + self._where)


class LabelReader:
    """Reads label cells of one problem type.

    Args:
      problem_type: `"single_label"`, `"regression"` or `"multi_label"`.
      labels: label names; None takes any (to find out which there are).
      separator: between the labels of one cell (multi_label).
      rename: label as written -> label name.
      label_as: `"name"`, or `"index"` where cells hold places in `labels`, from 0.
    """

    def __init__(
        self,
        problem_type: str,
        labels: Sequence[str] | None,
        separator: str = ",",
        rename: Mapping[str, str] | None = None,
        label_as: str = NAME,
    ) -> None:
        self._problem_type = PROBLEM_TYPES[problem_type]
        self._order = None if labels is None else tuple(labels)
        self._labels = None if labels is None else frozenset(labels)
        self._rename = rename or {}
        self._separator = separator
        self._by_index = label_as == INDEX
        # Most cells are a known label as it stands: these need no look at what else a cell can be.
        usual = labels if labels and not self._by_index else ()
        self._plain = frozenset(one for one in usual if one == self._rename.get(one, one).strip() and one[:1] != "[")
        if self._by_index and self._order is None:
            raise DataError("--label_as=index needs the labels in order; give --labels=a,b,c or --labels=FILE")

    def read(self, cell: Any) -> Label:
        """The label in `cell`: a name, a number, or several names; None where the cell is blank.

        Raises:
          RowError: a label that is not among the labels, or no number.
        """
        if isinstance(cell, dict):
            raise RowError("object as label", f"found an object ({one_line(cell, 60)}), expected a label")
        label: Label = self._problem_type.read_cell(cell, self)
        return label

    def one(self, cell: Any) -> str | None:
        """The label in a cell that holds one; None for a blank cell."""
        if type(cell) is str and cell in self._plain:
            return cell
        if isinstance(cell, list) or _is_bracketed(cell):
            advice = "for several labels a row give --problem_type=multi_label"
            raise RowError("list as label", f"found a list ({one_line(cell, 60)}), expected one label; {advice}")
        return self._name(cell.strip()) if cell.strip() else None

    def read_flags(self, names: Sequence[str], cells: Sequence[Any]) -> tuple[str, ...]:
        """Names of the columns whose cells say yes: a column a label.

        Raises:
          RowError: a cell that is neither 0 nor 1.
        """
        return tuple(name for name, cell in zip(names, cells, strict=True) if _is_yes(cell, f"column {name!r}: "))

    def is_label(self, cell: str) -> bool:
        """Whether `cell` holds nothing but known labels."""
        try:
            return self._labels is not None and self.read(cell) is not None
        except RowError:
            return False

    def several(self, cell: Any) -> tuple[str, ...] | None:
        """The labels in a cell that may hold several: text with separators, a list, or a 0/1 for each label."""
        parts: Sequence[Any]
        if isinstance(cell, list):
            parts = cell
        elif _is_bracketed(cell):
            parts = _parsed_list(cell)
        else:
            parts = [part for part in cell.split(self._separator) if part.strip()]
            if not parts:
                return None
        if any(isinstance(part, list | dict) for part in parts):
            raise RowError("nested list", f"found {one_line(cell, 60)}, expected a list of labels")
        if self._is_vector(cell, parts):
            return self.read_flags(self._order or (), parts)
        return tuple(dict.fromkeys(self._name(str(part).strip()) for part in parts))

    def _is_vector(self, cell: Any, parts: Sequence[Any]) -> bool:
        """Whether a list is a 0/1 for each label.

        Raises:
          RowError: it looks like one, but the labels are not known, or are not as many.
        """
        numbers = all(isinstance(part, int | float) or (isinstance(part, str) and _is_integer(part)) for part in parts)
        is_list = isinstance(cell, list) or _is_bracketed(cell)
        if not (is_list and parts and numbers) or self._by_index or self._names_are_numbers():
            return False
        if self._order is None:
            raise RowError(
                "0/1 vector", f"found {one_line(cell, 60)}, a list of numbers; give --labels=a,b,c for their names"
            )
        if len(parts) == len(self._order) and all(str(part) in _YES | _NO for part in parts):
            return True
        raise RowError(
            "0/1 vector",
            f"found {one_line(cell, 60)}, expected 0 or 1 for each of the {len(self._order)} labels; for places in "
            "--labels give --label_as=index",
        )

    def _names_are_numbers(self) -> bool:
        return bool(self._labels) and all(map(_is_integer, self._labels or ()))

    def _name(self, text: str) -> str:
        if self._by_index:
            return self._at(text)
        name = self._rename.get(text, text)
        if _is_bracketed(name):
            raise RowError("list as label", f"found {one_line(repr(name), 60)}, expected a label, not part of a list")
        if self._labels is None or name in self._labels:
            return name
        raise RowError("unknown label", lambda: self._unknown(name))

    def _unknown(self, name: str) -> str:
        """What is wrong with a label, with those that are close, which takes long where there are many."""
        return (
            f"found label {one_line(repr(name), 80)}, {self._near(name)}; correct the row, add it to --labels, or skip "
            "such rows with --on_bad_row=skip"
        )

    def _at(self, text: str) -> str:
        order = self._order or ()
        if text.isdecimal() and int(text) < len(order):
            return order[int(text)]
        raise RowError(
            "unknown label",
            f"found {one_line(repr(text), 80)}, expected an index from 0 to {len(order) - 1} (--label_as=index)",
        )

    def _near(self, name: str) -> str:
        """The closest labels; where one only looks the same, the characters that differ."""
        alike = next((label for label in self._labels or () if folded(label) == folded(name)), None)
        if alike is None:
            return one_line(closest(name, self._labels or ()))
        if _is_number(name):
            return f"which is the number of the label {alike!r}, written in another way (--label_names={name}={alike})"
        return f"which looks like the label {alike!r} but is written {_code_points(name)}, not {_code_points(alike)}"

    def number(self, cell: Any) -> float | None:
        """The number in a cell; None for a blank cell."""
        text = cell if isinstance(cell, str) else repr(cell)
        if not text.strip():
            return None
        try:
            value = math.nan if "_" in text else float(text)  # Python alone reads 3_5 as 35
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or abs(value) > LARGEST_FLOAT32:
            raise RowError(
                "not a number",
                f"found {one_line(repr(text), 80)}, expected a finite number (float32) for --problem_type=regression; "
                "correct the row, or skip such rows with --on_bad_row=skip",
            )
        return value


def folded(text: str) -> str:
    """A label without what the eye does not see: composition, case, invisible characters, blanks at its ends.

    A number is written in one way, so that 1, 1.0 and 01 are alike.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = "".join(char for char in plain if unicodedata.category(char) not in ("Cf", "Cc")).strip()
    return repr(float(plain)) if len(plain) < _EXACT_DIGITS and _is_number(plain) else plain


def look_alikes(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of labels that differ only in what `folded` leaves out, or are the same number."""
    seen: dict[str, str] = {}
    pairs = []
    for label in labels:
        other = seen.setdefault(folded(label), label)
        if other != label:
            pairs.append((other, label))
    return pairs


def warn_of_look_alikes(where: object, labels: Sequence[str], advice: str) -> None:
    """Names labels that are classes of their own and look the same.

    Args:
      where: they were found.
      labels: names.
      advice: what to do, with places for the second and the first label.
    """
    for first, second in look_alikes(labels)[:_MOST_PAIRS]:
        log.warning(
            f"%s: the labels %r and %r are two classes, but differ only in what the eye does not see, or in how a "
            f"number is written; {advice}", where, first, second, second, first,
        )  # fmt: skip


def several_in_one(labels: Sequence[str], takes_several: bool) -> tuple[str, str] | None:
    """A label that looks like several labels, and the separator between them; None where there is none.

    Args:
      labels: names.
      takes_several: whether rows may have several labels: then one part that is a label is enough, else all must be.
    """
    known = frozenset(labels)
    enough = any if takes_several else all
    for label in labels:
        for separator in _SEPARATORS:
            parts = [part.strip() for part in label.split(separator)]
            if len(parts) > 1 and all(parts) and enough(part in known for part in parts):
                return label, separator
    return None


def _code_points(text: str) -> str:
    return " ".join(f"U+{ord(char):04X}" for char in text[:12])


def _is_bracketed(cell: Any) -> bool:
    return isinstance(cell, str) and cell.lstrip()[:1] == "[" and cell.rstrip()[-1:] == "]"


def _parsed_list(cell: str) -> list[Any]:
    """The items of a list written as Python or JSON writes it.

    Raises:
      RowError: it cannot be read.
    """
    try:
        if len(cell) > _LONGEST_LIST or cell.count("[") > 1:
            raise ValueError
        items = ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise RowError(
            "malformed list", f"found {one_line(cell, 60)}, expected a list of labels as in ['a', 'b']"
        ) from None
    return list(items)


def _is_yes(cell: Any, where: str) -> bool:
    text = str(cell).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise RowError("neither 0 nor 1", f"{where}found {one_line(repr(cell), 60)}, expected 0 or 1")


def ordered(labels: Counter[str], path: Path, problem_type: ProblemType) -> list[str]:
    """The labels that training rows have, in the order of the classes: by number if all are integers, else by name.

    Args:
      labels: how often each occurs.
      path: the file they come from, for messages.
      problem_type: what a label is.

    Raises:
      DataError: fewer than two labels, or so many that the column is no label.
    """
    rows = labels.total()
    if not rows:
        raise DataError(f"{path}: no row can be used to find the labels in; correct the rows, or give --labels=a,b,c")
    if problem_type.is_exclusive:
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


def labels_of(example: InputExample) -> tuple[str, ...]:
    """The label names of an example: none, one or several; none for a score."""
    label = example.label
    if isinstance(label, str):
        return (label,)
    return tuple(label) if isinstance(label, tuple | list) else ()


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
