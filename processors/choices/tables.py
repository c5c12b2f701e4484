"""Questions in tables: a row each, choices in columns of their own, in one list, or parted in one cell."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.choices.question import RawQuestion, checked
from processors.tables.file import TableFile
from processors.tables.headers import check_header
from processors.tables.labels import RowError
from processors.tables.spec import Column, TableFormat, is_name, resolve

Read = tuple[int | str, RawQuestion | RowError]
"""Where a question is (a line, or another place in words), and the question or why there is none."""


@dataclasses.dataclass(frozen=True)
class ChoiceColumns:
    """Where the parts of a question stand: header names, or indices from 0.

    Args:
      choices: a column for each place; or one column with a list (JSON), or with text and `separator` in it.
      context: column of what the question is about; None where there is none.
      question: column of the question; None where there is none.
      label: column of the right choice; None where rows have none.
      guid: column of the row's own id; default `<split>-<record number from 0, header included>`.
      separator: between the choices of one cell.
    """

    choices: tuple[Column, ...]
    context: Column | None = None
    question: Column | None = None
    label: Column | None = None
    guid: Column | None = None
    separator: str | None = None

    def named(self) -> dict[str, Column]:
        """The columns that are asked for, by flag; of several choices the flag has the number behind it."""
        asked = {name: getattr(self, name) for name in ("context", "question", "label", "guid")}
        return {name: column for name, column in asked.items() if column is not None} | {
            f"choices:{place}": column for place, column in enumerate(self.choices)
        }


def read_table(path: Path, columns: ChoiceColumns, layout: TableFormat, split: str, keeps_bad: bool) -> Iterator[Read]:
    """Yields the questions of a table in order.

    Args:
      path: the file; delimited, JSON or Parquet.
      columns: where the parts stand; rows to predict need no column of the label.
      layout: how it is cut.
      split: `"train"`, `"dev"` or `"test"`.
      keeps_bad: whether rows with bytes that are not of the encoding are given as errors, instead of stopping.

    Raises:
      DataError: it cannot be read, lacks a column, or two texts are to be read from one column.
    """
    asked = _asked(columns, split)
    table = TableFile(path, layout, _names(asked), keeps_bad)
    yield from _questions(table, asked, columns.separator, split)


class DescribedTables:
    """Reads the questions of tables that the user describes; a header is checked, and what is odd is told once a file.

    Args:
      columns: where the parts stand, as for `read_table`.
      layout: how the files are cut.
      keeps_bad: as for `read_table`.
      label_as: what says which choice is right, where it is known.
      training: the training file, whose header the others share where columns are indices; None where there is none.
    """

    def __init__(
        self,
        columns: ChoiceColumns,
        layout: TableFormat,
        keeps_bad: bool = False,
        label_as: str | None = None,
        training: Path | None = None,
    ) -> None:
        self._columns, self._layout, self._keeps_bad = columns, layout, keeps_bad
        self._label_as, self._training = label_as, training
        self._told: set[Path] = set()

    def __call__(self, path: Path, split: str) -> Iterator[Read]:
        """Yields the questions of a file in order.

        Raises:
          DataError: as for `read_table`, or a header that is a question, or another than that of training.
        """
        asked, tells = _asked(self._columns, split), path not in self._told
        self._told.add(path)
        table = TableFile(path, self._layout, _names(asked), self._keeps_bad)
        if table.has_header_line and not _names(asked):
            self._check_header(table, split, tells)
        yield from _questions(table, asked, self._columns.separator, split)
        if tells:
            table.warn_of_quotes()

    def _check_header(self, table: TableFile, split: str, tells: bool) -> None:
        if self._label_as is not None:
            _refuse_question_as_header(table, self._columns, self._label_as)
        check_header(table, None if split == "train" else self._training, self._layout, tells)


def _asked(columns: ChoiceColumns, split: str) -> dict[str, Column]:
    """The columns that a split is read from."""
    asked = columns.named()
    if split == "test":
        asked.pop("label", None)
    return asked


def _names(asked: Mapping[str, Column]) -> list[str]:
    return [column for column in asked.values() if is_name(column)]


def _questions(table: TableFile, asked: Mapping[str, Column], separator: str | None, split: str) -> Iterator[Read]:
    places = {name: _place(table, column, name) for name, column in asked.items()}
    _refuse_shared_columns(table.path, asked, places)
    needed = 1 + max(places.values())
    for number, row in table:
        try:
            yield row.line, _raw(table.cells(row, needed), f"{split}-{number}", places, separator)
        except RowError as error:
            yield row.line, error


def _refuse_shared_columns(path: Path, asked: Mapping[str, Column], places: Mapping[str, int]) -> None:
    """Refuses two texts of one column; the label may be the text of a choice.

    Raises:
      DataError: a column is named twice.
    """
    seen: dict[int, str] = {}
    for name, place in places.items():
        if name in ("label", "guid"):
            continue
        flag, other = name.partition(":")[0], seen.setdefault(place, name).partition(":")[0]
        if seen[place] != name:
            twice = f"--{flag} names it twice" if flag == other else f"--{other} and --{flag} both name it"
            raise DataError(
                f"{path}: column {str(asked[name])!r} is to hold two texts of a question ({twice}), expected a column "
                "for each; correct the flag"
            )


def _place(table: TableFile, column: Column, name: str) -> int:
    try:
        return resolve(column, table.header, table.width, table.path, name.partition(":")[0])
    except DataError as error:
        raise DataError(f"{error}{table.delimiter_advice(str(column))}") from None


def _refuse_question_as_header(table: TableFile, columns: ChoiceColumns, label_as: str) -> None:
    """Refuses a header, where columns are indices, that is a question with a right choice: it would be lost.

    Raises:
      DataError: it is one.
    """
    try:
        places = {name: _place(table, column, name) for name, column in columns.named().items()}
        first = _raw(table.first_cells, "", places, columns.separator)
        checked(first, label_as, is_test=False)
    except (DataError, RowError):
        return
    raise DataError(
        f"{table.path}:1: read as a header, but it is a question whose right choice is {one_line(first.label)!r}; "
        "give --header=false"
    )


def _raw(cells: Sequence[Any], guid: str, places: Mapping[str, int], separator: str | None) -> RawQuestion:
    by_name: dict[str, Any] = {name: cells[place] for name, place in places.items()}
    choices = [cell for name, cell in by_name.items() if name.startswith("choices:")]
    if len(choices) == 1:
        choices = several(choices[0], separator)
    given = by_name.get("guid")
    return RawQuestion(
        guid if given is None else str(given),
        by_name.get("context"),
        by_name.get("question"),
        choices,
        by_name.get("label"),
    )


def several(cell: Any, separator: str | None) -> list[Any]:
    """The choices of one cell.

    Raises:
      RowError: neither a list nor text that can be parted.
    """
    if isinstance(cell, list):
        return cell
    if separator is None or not isinstance(cell, str):
        raise RowError(
            "no choices",
            "the choices are in one cell, which is no list; give --choice_separator, a column for each choice in "
            "--choices, or JSON lines with a list",
        )
    return [part.strip() for part in cell.split(separator)]
