"""A table on disk: its header, its rows as cells in the order of the header, and one row as an example."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.base import InputExample
from processors.reading import JSON_LINES, Row, data_suffix, read_delimited, read_json_lines
from processors.tables.labels import LabelReader, RowError
from processors.tables.spec import Columns, Split, TableFormat, resolve

_SKIP = "skip such rows with --on_bad_row=skip"


class TableFile:
    """A delimited or JSON-lines file, compressed or not; each iteration reads it anew.

    Args:
      path: the file.
      layout: how to cut it.

    Raises:
      DataError: the file is missing, empty, or has a header that cannot be read.
    """

    def __init__(self, path: Path, layout: TableFormat) -> None:
        self.path = path
        self._layout = layout
        self._is_json = layout.delimiter is None and data_suffix(path) in JSON_LINES
        self._has_header_line = layout.header and not self._is_json
        self.header = self._json_keys() if self._is_json else None
        first = None if self._is_json else next(self._records(), None)
        if first is not None and (first.problem or not first.cells):
            raise DataError(f"{path}:1: {first.problem or 'is a blank line, expected a row; remove it'}")
        if first is None and self.header is None:
            raise DataError(f"{path}: is empty, expected rows; check how it was written")
        if first is not None and self._has_header_line:
            self.header = [name.strip() for name in first.cells]
        self.first_cells = first.cells if first is not None else []
        self.width = len(self.first_cells if self.header is None else self.header)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yields `(number, row)`; numbers count records from 0, header included; blank lines at the end are no rows.

        Raises:
          DataError: there is a header and nothing else.
        """
        blank: list[tuple[int, Row]] = []
        found = False
        for number, row in enumerate(self._records()):
            if number == 0 and self._has_header_line:
                continue
            if not row.cells and not row.problem:
                blank.append((number, row))
                continue
            yield from blank
            blank.clear()
            found = True
            yield number, row
        if not found:
            raise DataError(f"{self.path}: has a header and no rows, expected rows; give --header=false if it has none")

    def cells(self, row: Row) -> list[Any]:
        """The cells of `row`, exactly as many as the header has; empty ones at the end are forgiven.

        Raises:
          RowError: the row is blank, malformed, too short or too long.
        """
        if len(row.cells) == self.width and not row.problem:
            return row.cells
        if row.problem:
            raise RowError("malformed row", row.problem)
        if not row.cells:
            raise RowError("blank line", f"blank line, expected a row; remove it, or {_SKIP}")
        if len(row.cells) > self.width and not any(row.cells[self.width :]):
            return row.cells[: self.width]
        kind = "short row" if len(row.cells) < self.width else "long row"
        raise RowError(
            kind,
            f"found {len(row.cells)} columns, expected {self.width} as in row 1; look for a stray delimiter, quote or "
            f"line break (see --delimiter, --quoting), or {_SKIP}",
        )

    def _records(self) -> Iterator[Row]:
        if not self._is_json:
            yield from read_delimited(self.path, *self._layout.dialect(self.path), self._layout.encoding)
            return
        for line, value, problem in read_json_lines(self.path, self._layout.encoding):
            cells = [] if value is None else [_plain(value.get(name)) for name in self.header or ()]
            yield Row(line, cells, problem)

    def _json_keys(self) -> list[str]:
        for line, value, problem in read_json_lines(self.path, self._layout.encoding):
            if problem:
                raise DataError(f"{self.path}:{line}: {problem}")
            if value:
                return list(value)
        raise DataError(f"{self.path}: is empty, expected rows; check how it was written")


def _plain(value: Any) -> Any:
    """A JSON value as a cell: text, or a list of texts; null is blank."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [str(_plain(item)) for item in value]
    return "" if value is None else {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


class RowParser:
    """Makes examples of the rows of one file.

    Args:
      table: the file.
      split: `"train"`, `"dev"` or `"test"`; test rows need no label, not even its column.
      layout: columns and filter of the split.
      labels: reads label cells.
      blank_label: what a blank label cell means in training and dev rows; None: the row lacks its label.

    Raises:
      DataError: a column that the file does not have.
    """

    def __init__(
        self,
        table: TableFile,
        split: str,
        layout: Split,
        labels: LabelReader,
        blank_label: tuple[str, ...] | None = None,
    ) -> None:
        columns = layout.columns
        if columns is None:
            raise ValueError("a split without columns")
        self._table, self._split, self._labels, self._blank_label = table, split, labels, blank_label
        self._texts = [
            (flag, self._index(column, flag))
            for flag, column in (("text_a", columns.text_a), ("text_b", columns.text_b))
            if column is not None
        ]
        self._guid = None if columns.guid is None else self._index(columns.guid, "guid")
        self._where = None if layout.where is None else (self._index(layout.where[0], "where"), layout.where[1])
        self._label = self._label_index(columns)

    def parse(self, number: int, row: Row) -> InputExample | None:
        """The example in `row`, whose record number is `number`; None for a row of another split.

        Raises:
          RowError: the row cannot be used; a test row whose label alone is bad comes along without it.
        """
        cells = self._table.cells(row)
        if self._where is not None and cells[self._where[0]] != self._where[1]:
            return None
        guid = f"{self._split}-{number}" if self._guid is None else str(cells[self._guid])
        example = InputExample(guid, *(self._text(cells[index], flag) for flag, index in self._texts))
        if self._label is None:
            return example
        try:
            example.label = self._labels.read(cells[self._label])
        except RowError as error:
            kept = example if self._split == "test" else None
            raise RowError(error.reason, f"column {self._name(self._label)}: {error}", kept) from None
        if example.label is None and self._split != "test":
            example.label = self._blank_label
            if example.label is None:
                raise RowError(
                    "missing label",
                    f"column {self._name(self._label)}: found nothing, expected a label to {self._split} with; "
                    f"add it, or {_SKIP}",
                )
        return example

    def _index(self, column: str | int, flag: str) -> int:
        return resolve(column, self._table.header, self._table.width, self._table.path, flag)

    def _label_index(self, columns: Columns) -> int | None:
        if columns.label is None:
            if self._split == "test":
                return None
            raise DataError(f"--label is missing: the {self._split} split needs the column of the label; give it")
        try:
            index = self._index(columns.label, "label")
        except DataError:
            if self._split == "test" and columns.label not in (self._table.header or ()):
                return None
            raise
        self._refuse_data_as_header(columns, index)
        return index

    def _refuse_data_as_header(self, columns: Columns, index: int) -> None:
        """A header whose label column holds a label is a row of data, which would be lost without a word."""
        names_used = columns.label in (self._table.header or ())
        if names_used or self._table.header is None or not self._table.first_cells:
            return
        cell = self._table.first_cells[index]
        if self._labels.is_label(cell):
            raise DataError(
                f"{self._table.path}:1: read as a header, but its label column holds the label {one_line(cell)!r}; "
                "give --header=false"
            )

    def _text(self, cell: Any, flag: str) -> str:
        if isinstance(cell, str) and cell and not cell.isspace():
            return cell
        found = "no text" if isinstance(cell, str) else f"a list of {len(cell)}"
        raise RowError(
            "empty text",
            f"column {self._name(dict(self._texts)[flag])}: found {found}, expected the text for --{flag}; "
            f"correct the row, or {_SKIP}",
        )

    def _name(self, index: int) -> str:
        return repr(self._table.header[index]) if self._table.header else str(index)
