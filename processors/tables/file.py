"""A table on disk: its header, and its rows as cells in the order of the header."""

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from processors.reading import Row, data_suffix, read_delimited
from processors.tables.json_rows import read_objects
from processors.tables.labels import RowError
from processors.tables.parquet import read_parquet
from processors.tables.sniffing import JSON, PARQUET, kind_of
from processors.tables.spec import TableFormat

log = logging.getLogger(__name__)

SKIP = "skip such rows with --on_bad_row=skip"
_DELIMITERS = {"\t": "\\t", ";": "';'", ",": ",", "|": "'|'"}


class TableFile:
    """A delimited file, JSON or Parquet, compressed or not; each iteration reads it anew.

    Args:
      path: the file.
      layout: how to cut it.
      names: columns that will be asked for by name; of JSON objects, those with other keys are looked at until all
        names have been seen.
      keep_undecodable: give rows with bytes that are not of the encoding as rows with a problem, instead of stopping.

    Raises:
      DataError: the file is missing, empty, or has a header that cannot be read.
    """

    def __init__(
        self, path: Path, layout: TableFormat, names: Sequence[str] = (), keep_undecodable: bool = False
    ) -> None:
        self.path = path
        self.short_rows = self.blank_lines = self.quoted_rows = 0
        self._layout = layout
        self._keep_undecodable = keep_undecodable
        self._kind = kind_of(path, layout.delimiter)
        self.has_names = self._kind in (JSON, PARQUET)
        self.has_header_line = layout.header and not self.has_names
        self.header: list[str] | None = self._keys(names) if self.has_names else None
        first = None if self.has_names else next(self._records(), None)
        if first is not None and (first.problem or not first.cells):
            raise DataError(f"{path}:1: {first.problem or 'is a blank line, expected a row; remove it'}")
        if first is None and self.header is None:
            raise DataError(f"{path}: is empty, expected rows; check how it was written")
        self.first_cells: list[Any] = first.cells if first is not None else []
        if self.has_header_line:
            self.header = [name.strip() for name in self.first_cells]
            _refuse_separator_line(path, self.first_cells)
        self.width = len(self.first_cells if self.header is None else self.header)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yields `(number, row)`; numbers count records from 0, header included; blank lines at the end are no rows.

        Raises:
          DataError: there is a header and nothing else.
        """
        self.short_rows = self.blank_lines = self.quoted_rows = 0
        blank: list[tuple[int, Row]] = []
        found = False
        ignores_blank = data_suffix(self.path) == ".csv"
        may_be_quoted = not self.has_names and self._layout.may_be_quoted(self.path)
        for number, row in enumerate(self._records()):
            if number == 0 and self.has_header_line:
                continue
            if not row.cells and not row.problem:
                if ignores_blank:
                    self.blank_lines += 1
                else:
                    blank.append((number, row))
                continue
            yield from blank
            blank.clear()
            found = True
            self.quoted_rows += may_be_quoted and any(map(_looks_quoted, row.cells))
            yield number, row
        if not found:
            raise DataError(f"{self.path}: has a header and no rows, expected rows; give --header=false if it has none")
        self._report()

    def cells(self, row: Row, needed: int = 0) -> list[Any]:
        """The cells of `row`, exactly as many as the header has.

        Empty cells at the end are forgiven, and missing ones that nobody asks for: spreadsheets leave them out.

        Args:
          row: a record of this file.
          needed: cells that are asked for, from the start.

        Raises:
          RowError: the row is blank, malformed, too short or too long, or repeats the header.
        """
        if row.problem:
            raise RowError("malformed row", row.problem)
        if self.has_header_line and row.cells == self.first_cells:
            raise RowError("repeated header", f"repeats the header; two tables were joined? remove the row, or {SKIP}")
        if len(row.cells) == self.width:
            return row.cells
        if not row.cells:
            raise RowError("blank line", f"blank line, expected a row; remove it, or {SKIP}")
        if len(row.cells) > self.width and not any(row.cells[self.width :]):
            return row.cells[: self.width]
        if needed and needed <= len(row.cells) < self.width:
            self.short_rows += 1
            return row.cells + [""] * (self.width - len(row.cells))
        kind = "short row" if len(row.cells) < self.width else "long row"
        raise RowError(
            kind,
            f"found {len(row.cells)} columns, expected {self.width} as in row 1; {self._advice(row)}, or {SKIP}",
        )

    def warn_of_quotes(self) -> None:
        """Names cells of the last pass that have quotes around them, which were read as text."""
        if self.quoted_rows:
            log.warning(
                "%s: %d rows have cells that look quoted as spreadsheets write them, and are read with their quotes; "
                "give --quoting=minimal to read what is inside, or --quoting=none where quotes are text",
                self.path, self.quoted_rows,
            )  # fmt: skip

    def delimiter_advice(self, name: str) -> str:
        """What would make `name` a column, where the header shows it: another delimiter, or quotes."""
        cells = [str(cell) for cell in self.first_cells]
        if len(cells) == 1:
            for delimiter, shown in _DELIMITERS.items():
                if name in (part.strip().strip('"') for part in cells[0].split(delimiter)) and delimiter in cells[0]:
                    return f"; the columns look separated by {shown}: give --delimiter={shown}"
        if f'"{name}"' in cells:
            return "; its names are quoted: give --quoting=minimal"
        return ""

    def _advice(self, row: Row) -> str:
        if len(row.cells) == self.width + 1 and self.header is not None and str(row.cells[0]).strip('"').isdecimal():
            return "R writes row names so: write the table with row.names=FALSE"
        return "look for a stray delimiter, quote or line break (see --delimiter, --quoting)"

    def _report(self) -> None:
        if self.short_rows:
            log.info(
                "%s: %d rows end before the last column; their missing cells are blank", self.path, self.short_rows
            )
        if self.blank_lines:
            log.info("%s: ignored %d blank lines", self.path, self.blank_lines)

    def _records(self) -> Iterator[Row]:
        if not self.has_names:
            dialect = self._layout.dialect(self.path)
            yield from read_delimited(self.path, *dialect, self._layout.encoding, self._keep_undecodable)
            return
        for line, value, problem in self._objects():
            cells = [] if value is None else [plain(value.get(name)) for name in self.header or ()]
            yield Row(line, cells, problem)

    def _objects(self) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
        if self._kind == PARQUET:
            return read_parquet(self.path)
        return read_objects(self.path, self._layout.encoding, self._keep_undecodable)

    def _keys(self, names: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        first = ""
        for line, value, problem in self._objects():
            if problem:
                first = first or f"{self.path}:{line}: {problem}"
                if not self._keep_undecodable:  # rows that cannot be used are not skipped
                    raise DataError(first)
            found |= dict.fromkeys(value or ())
            if found and all(name in found for name in names):
                return list(found)
        if not found:
            raise DataError(first or f"{self.path}: is empty, expected rows; check how it was written")
        return list(found)


def _looks_quoted(cell: Any) -> bool:
    """Whether a cell is in quotes and has quotes inside that are all doubled, which text hardly has."""
    if cell[:1] != '"' or cell[-1:] != '"' or '""' not in cell[1:-1]:
        return False
    return '"' not in cell[1:-1].replace('""', "")


def _refuse_separator_line(path: Path, cells: Sequence[Any]) -> None:
    """Names Excel's first line `sep=;`, which is no header."""
    first = str(cells[0])
    if first.startswith("sep=") and len(first) <= 5:
        delimiter = first[4:] or ","
        raise DataError(
            f"{path}:1: is Excel's line {first!r}, not a header; remove the line and give --delimiter='{delimiter}'"
        )


def plain(value: Any) -> Any:
    """A JSON value as a cell: text, or a list of texts; null and NaN are blank; objects and nested lists stay."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return value if any(isinstance(item, list | dict) for item in value) else [str(plain(item)) for item in value]
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, dict) else str(value)


def first_cells(path: Path, layout: TableFormat) -> list[str] | None:
    """The first row of a delimited file, None where it has none or cannot be read."""
    try:
        return [str(cell).strip() for cell in TableFile(path, layout).first_cells] or None
    except (DataError, csv.Error):
        return None
