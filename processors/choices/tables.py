"""Questions in tables: a row each, choices in columns of their own, in one list, or parted in one cell."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.choices.question import RawQuestion, checked
from processors.tables.file import TableFile
from processors.tables.labels import RowError
from processors.tables.spec import Column, TableFormat, resolve

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


def read_table(
    path: Path, columns: ChoiceColumns, layout: TableFormat, split: str, keeps_bad: bool, label_as: str | None = None
) -> Iterator[Read]:
    """Yields the questions of a table in order.

    Args:
      path: the file; delimited, JSON or Parquet.
      columns: where the parts stand; rows to predict need no column of the label.
      layout: how it is cut.
      split: `"train"`, `"dev"` or `"test"`.
      keeps_bad: whether rows with bytes that are not of the encoding are given as errors, instead of stopping.
      label_as: what says which choice is right, where it is known.

    Raises:
      DataError: it cannot be read, lacks a column, or has a question where a header belongs.
    """
    asked = columns.named()
    if split == "test":
        asked.pop("label", None)
    names = [column for column in asked.values() if isinstance(column, str) and not column.lstrip("-").isdecimal()]
    table = TableFile(path, layout, names, keeps_bad)
    places = {name: _place(table, column, name) for name, column in asked.items()}
    needed = 1 + max(places.values())
    if label_as is not None and not names:
        _refuse_question_as_header(table, columns, label_as)
    for number, row in table:
        try:
            yield row.line, _raw(table.cells(row, needed), f"{split}-{number}", places, columns.separator)
        except RowError as error:
            yield row.line, error


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
    if table.header is None or table.has_names:
        return
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
