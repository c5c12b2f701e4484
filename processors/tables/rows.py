"""One row of a table -> one example."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from common.errors import DataError, one_line
from processors.base import InputExample
from processors.reading import Row, lone_surrogate
from processors.tables.file import SKIP, TableFile
from processors.tables.labels import LabelReader, RowError
from processors.tables.spec import Columns, Split, resolve


class RowParser:
    """Makes examples of the rows of one file.

    Args:
      table: the file.
      split: `"train"`, `"dev"` or `"test"`; test rows need no label, not even its column, and may have any.
      layout: columns and filter of the split.
      labels: reads label cells.
      blank_label: what a blank label cell means in training and dev rows; None: the row lacks its label.

    Attributes:
      ignored_labels: label cells of test rows that are none of the labels, by reason.
      flag_names: the flags that name columns, where they differ from the attributes of `Columns`.

    Raises:
      DataError: a column that the file does not have.
    """

    flag_names: ClassVar[Mapping[str, str]] = {}

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
        self.ignored_labels: Counter[str] = Counter()
        self._table, self._split, self._labels, self._blank_label = table, split, labels, blank_label
        self._names = columns.names()
        self._texts = [
            (self.flag_names.get(flag, flag), self._index(column, flag))
            for flag, column in (("text_a", columns.text_a), ("text_b", columns.text_b))
            if column is not None
        ]
        self._guid = None if columns.guid is None else self._index(columns.guid, "guid")
        self._where = None if layout.where is None else (self._index(layout.where[0], "where"), layout.where[1])
        self._flags = self._flag_indices(columns)
        self._label = None if self._flags or isinstance(columns.label, tuple) else self._label_index(columns)
        read = [index for index in (*(index for _, index in self._texts), self._guid) if index is not None]
        used = [*read, *([] if self._label is None else [self._label]), *self._flags.values()]
        self._needed = 1 + max(used)
        # Of files, only JSON can hold half a character. Rows to predict may have any label.
        self._checked = (read if split == "test" else used) if table.has_names else []

    def parse(self, number: int, row: Row) -> InputExample | None:
        """The example in `row`, whose record number is `number`; None for a row of another split.

        Raises:
          RowError: the row cannot be used.
        """
        cells = self._table.cells(row, self._needed)
        if self._where is not None and cells[self._where[0]] != self._where[1]:
            return None
        for index in self._checked:
            self._check_characters(cells[index], index)
        guid = f"{self._split}-{number}" if self._guid is None else str(cells[self._guid])
        text_a = self._text(cells, *self._texts[0])
        text_b = self._second_text(cells, *self._texts[1]) if len(self._texts) > 1 else None
        example = self.example(guid, text_a, text_b)
        if self._label is not None or self._flags:
            try:
                example.label = self._read_label(cells)
            except RowError as error:
                if self._split != "test":
                    raise
                self.ignored_labels[error.reason] += 1
        return example

    def example(self, guid: str, text_a: str, text_b: str | None) -> InputExample:
        """An example without its label."""
        return InputExample(guid, text_a, text_b)

    def read_label(self, cells: list[Any], index: int) -> Any:
        """The label in a cell; None for a blank one.

        Raises:
          RowError: it cannot be used.
        """
        return self._labels.read(cells[index])

    def _check_characters(self, cell: Any, index: int) -> None:
        for part in cell if isinstance(cell, list) else (cell,):
            half = lone_surrogate(part) if isinstance(part, str) else None
            if half is not None:
                raise RowError(
                    "half a character",
                    f"column {self._name(index)}: holds half a character (U+{ord(half):04X}), which is no text; "
                    f"correct the row, or {SKIP}",
                )

    def _read_label(self, cells: list[Any]) -> Any:
        if self._label is None:
            return self._labels.read_flags(list(self._flags), [cells[index] for index in self._flags.values()])
        try:
            label = self.read_label(cells, self._label)
        except RowError as error:
            raise error.at(f"column {self._name(self._label)}: ") from None
        if label is None and self._split != "test":
            label = self._blank_label
            if label is None:
                purpose = "train" if self._split == "train" else "evaluate"
                raise RowError(
                    "missing label",
                    f"column {self._name(self._label)}: found nothing, expected a label to {purpose} with; add it, or "
                    f"{SKIP}",
                )
        return label

    def _index(self, column: str | int, flag: str) -> int:
        table = self._table
        try:
            return resolve(column, table.header, table.width, table.path, self.flag_names.get(flag, flag))
        except DataError as error:
            advice = table.delimiter_advice(str(column)) or self._header_advice(column)
            raise DataError(f"{error}{advice}") from None

    def _header_advice(self, column: str | int) -> str:
        """Where the first row is data: a header with none of the names that are asked for."""
        if not isinstance(column, str) or self._table.header is None or self._table.has_names:
            return ""
        if any(name in self._table.header for name in self._names):
            return ""
        return "; if the first line is a row of data, give --header=false and columns as indices from 0"

    def _flag_indices(self, columns: Columns) -> dict[str, int]:
        """Index of each label column, where there is a column for each label."""
        if not isinstance(columns.label, tuple):
            return {}
        try:
            return {name: self._index(name, "label") for name in columns.label}
        except DataError:
            if self._split == "test":
                return {}
            raise

    def _label_index(self, columns: Columns) -> int | None:
        if columns.label is None or isinstance(columns.label, tuple):
            if self._split == "test":
                return None
            flag = self.flag_names.get("label", "label")
            raise DataError(f"--{flag} is missing: the {self._split} split needs the column of the {flag}; give it")
        try:
            index = self._index(columns.label, "label")
        except DataError:
            if self._split == "test" and columns.label not in (self._table.header or ()):
                return None
            raise
        if self._split == "test" and index in (place for _, place in self._texts):
            return None  # the last column of a file without labels is the text
        self._refuse_data_as_header(columns, index)
        return index

    def _refuse_data_as_header(self, columns: Columns, index: int) -> None:
        """Refuses a header whose label column holds a label: it is a row of data, which would be lost."""
        names_used = columns.label in (self._table.header or ())
        if names_used or self._table.header is None or not self._table.first_cells:
            return
        cell = self._table.first_cells[index]
        if self._labels.is_label(cell):
            raise DataError(
                f"{self._table.path}:1: read as a header, but its label column holds the label {one_line(cell)!r}; "
                "give --header=false"
            )

    def _second_text(self, cells: list[Any], flag: str, index: int) -> str | None:
        cell = cells[index]
        if isinstance(cell, str) and (not cell or cell.isspace()):
            return None
        return self._text(cells, flag, index)

    def _text(self, cells: list[Any], flag: str, index: int) -> str:
        try:
            return text_of(cells[index], flag)
        except RowError as error:
            raise error.at(f"column {self._name(index)}: ") from None

    def _name(self, index: int) -> str:
        return repr(self._table.header[index]) if self._table.header else str(index)


def text_of(cell: Any, flag: str) -> str:
    """The text in a cell.

    Args:
      cell: as a file has it.
      flag: that names the column.

    Raises:
      RowError: there is none.
    """
    if isinstance(cell, str) and cell and not cell.isspace():
        return cell
    kind = "a list" if isinstance(cell, list) else "an object" if isinstance(cell, dict) else ""
    found = f"{kind} ({one_line(cell, 60)})" if kind else "no text"
    raise RowError(
        "empty text" if isinstance(cell, str) else "no text",
        f"found {found}, expected the text for --{flag}; correct the row, or {SKIP}",
    )
