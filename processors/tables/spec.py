"""What a table looks like: the declarations that `TableProcessor` reads by."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from common.errors import DataError, closest, one_line
from processors.base import SPLITS
from processors.problem_types import PROBLEM_TYPES
from processors.reading import DELIMITERS, JSON_LINES, data_suffix, open_text
from processors.tables.labels import LABELS_AS, NAME

Column = str | int
"""A header name, or an index from 0 (from the end where negative)."""

_ESCAPES = {"\\t": "\t", "tab": "\t"}


@dataclasses.dataclass(frozen=True)
class TableFormat:
    """How a file is cut into rows and cells.

    Args:
      delimiter: one character; default comma for `.csv`, tab for `.tsv` and `.txt`.
      quoting: `"none"` (quotes are text) or `"minimal"` (a cell may be quoted); default minimal for `.csv` and for any
        delimiter but a tab, else none.
      encoding: default UTF-8, or what the byte order mark says.
      header: whether the first line names the columns.

    Raises:
      DataError: a delimiter that is not one character, or an unknown quoting.
    """

    delimiter: str | None = None
    quoting: str | None = None
    encoding: str | None = None
    header: bool = True

    def __post_init__(self) -> None:
        delimiter = _ESCAPES.get(self.delimiter or "", self.delimiter)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise DataError(f"--delimiter={one_line(repr(delimiter))}: expected one character, or \\t for a tab")
        if self.quoting not in (None, "none", "minimal"):
            raise DataError(f"--quoting={self.quoting}: expected none (quotes are text) or minimal (in quoted cells)")
        object.__setattr__(self, "delimiter", delimiter)

    def dialect(self, path: Path) -> tuple[str, str]:
        """Delimiter and quoting of `path`, where the extension decides what was not given.

        Raises:
          DataError: an extension that tells nothing, and no delimiter.
        """
        suffix = data_suffix(path)
        delimiter = self.delimiter or DELIMITERS.get(suffix)
        if delimiter is None:
            known = ", ".join((*DELIMITERS, *JSON_LINES))
            raise DataError(f"{path}: extension {suffix!r} does not tell the format ({known} do); give --delimiter")
        quoted = suffix == ".csv" or delimiter != "\t"
        return delimiter, self.quoting or ("minimal" if quoted else "none")

    def may_be_quoted(self, path: Path) -> bool:
        """Whether quotes in `path` are taken for text, and nobody has said so."""
        return self.quoting is None and self.dialect(path)[1] == "none"


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where the parts of an example stand: header names, or indices from 0 (also as text, from flags).

    Args:
      text_a: column of the text.
      text_b: column of the second text; None for single texts.
      label: column of the label, or a 0/1 column for each label (multi_label); None where rows have none.
      guid: column of the row's own id; default `<split>-<record number from 0, header included>`.
    """

    text_a: Column
    text_b: Column | None = None
    label: Column | tuple[str, ...] | None = None
    guid: Column | None = None

    def names(self) -> list[str]:
        """The columns that are asked for by name."""
        label = self.label if isinstance(self.label, tuple) else (self.label,)
        asked = (self.text_a, self.text_b, self.guid, *label)
        return [column for column in asked if is_name(column)]


@dataclasses.dataclass(frozen=True)
class Split:
    """One split where it differs from the table's defaults.

    Args:
      file: path, under `data_dir` or as it stands; default the file in `data_dir` whose stem is the split's name.
      columns: default the table's.
      format: default the table's.
      where: `(column, value)`: only rows with that value in that column belong to the split.
    """

    file: str | None = None
    columns: Columns | None = None
    format: TableFormat | None = None
    where: tuple[Column, str] | None = None


@dataclasses.dataclass(frozen=True)
class TableSpec:
    """A data set in one or more tables.

    Args:
      columns: where texts and label stand; the label column may be missing from test files.
      format: how files are cut.
      splits: what differs for `"train"`, `"dev"`, `"test"`.
      labels: label names in the order of the classes; None: found in the training file.
      problem_type: `"single_label"`, `"regression"` or `"multi_label"`.
      label_separator: between the labels of one cell (multi_label).
      label_as: what label cells hold: `"name"`, or `"index"` in `labels`.
      rename: label as written -> label name.
      dev_fraction: fraction of training rows held out where there is no dev file; 0 holds out nothing.
      seed: decides which rows are held out.
      on_bad_row: `"stop"` at a row that cannot be used, or `"skip"`: leave it out and count it.

    Raises:
      DataError: a value that cannot be meant.
    """

    columns: Columns
    format: TableFormat = TableFormat()
    splits: Mapping[str, Split] = dataclasses.field(default_factory=dict)
    labels: Sequence[str] | None = None
    problem_type: str = "single_label"
    label_separator: str = ","
    label_as: str = NAME
    rename: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dev_fraction: float = 0.1
    seed: int = 12345
    on_bad_row: str = "stop"

    def __post_init__(self) -> None:
        if self.problem_type not in PROBLEM_TYPES:
            raise DataError(f"--problem_type={self.problem_type}: expected {', '.join(PROBLEM_TYPES)}")
        if self.on_bad_row not in ("stop", "skip"):
            raise DataError(f"--on_bad_row={self.on_bad_row}: expected stop or skip")
        if not 0 <= self.dev_fraction < 1:
            raise DataError(f"--dev_fraction={self.dev_fraction}: expected a share of at least 0 and below 1")
        if not self.label_separator:
            raise DataError("--label_separator is empty; expected the text between two labels, e.g. a comma")
        if self.label_as not in LABELS_AS:
            raise DataError(f"--label_as={self.label_as}: expected {' or '.join(LABELS_AS)}")
        if isinstance(self.columns.label, tuple):
            self._check_label_columns()
        if self.labels is not None:
            object.__setattr__(self, "labels", checked_labels(self.labels, self.problem_type))

    def _check_label_columns(self) -> None:
        if not PROBLEM_TYPES[self.problem_type].takes_several:
            raise DataError("--label names several columns, a column a label; give --problem_type=multi_label")
        if self.labels is not None and tuple(self.labels) != self.columns.label:
            raise DataError("--label names a column for each label; leave --labels out")
        object.__setattr__(self, "labels", self.columns.label)

    def split(self, name: str) -> Split:
        """The split `name` with the table's columns and format where it has none of its own."""
        split = self.splits.get(name, Split())
        return dataclasses.replace(split, columns=split.columns or self.columns, format=split.format or self.format)

    def replace(self, **changes: Any) -> "TableSpec":
        """A copy with fields changed; `train_file`, `dev_file` and `test_file` change the file of that split, and
        `encoding` is that of all files.

        Example:
          >>> spec.replace(on_bad_row="skip", test_file="new.tsv")
        """
        splits = dict(changes.pop("splits", self.splits))
        for name in SPLITS:
            file = changes.pop(f"{name}_file", None)
            if file is not None:
                splits[name] = dataclasses.replace(splits.get(name, Split()), file=str(file))
        encoding = changes.pop("encoding", None)
        if encoding is not None:
            changes["format"] = dataclasses.replace(changes.get("format", self.format), encoding=encoding)
            for name, split in splits.items():
                if split.format is not None:
                    splits[name] = dataclasses.replace(
                        split, format=dataclasses.replace(split.format, encoding=encoding)
                    )
        return dataclasses.replace(self, splits=splits, **changes)


def parse_labels(text: str, encoding: str | None = None) -> list[str]:
    """Labels from the text of a flag: `a,b,c`, or the path of a file with one label a line.

    Args:
      text: as given.
      encoding: of the file, as for `open_text`.

    Raises:
      DataError: no such file, or nothing in it.
    """
    path = Path(text)
    if not text.endswith(".txt") and ("," in text or not path.is_file()):
        return [label.strip() for label in text.split(",")]
    if not path.is_file():
        raise DataError(f"--labels={text}: no such file; give a file with one label a line, or the labels as a,b,c")
    with open_text(path, encoding) as lines:
        labels = [line.strip() for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    if not labels:
        raise DataError(f"--labels={text}: the file is empty, expected one label a line")
    return labels


def checked_labels(labels: Sequence[str], problem_type: str) -> tuple[str, ...]:
    """`labels`, once they are known to be usable as classes.

    Raises:
      DataError: a label twice, a blank label, one label alone, or labels of a regression.
    """
    names = tuple(labels)
    kind = PROBLEM_TYPES[problem_type]
    if not kind.has_labels:
        if names:
            raise DataError("--labels is given with --problem_type=regression, which predicts a number; leave one out")
        return names
    if len(set(names)) < len(names):
        counts = Counter(names)
        repeated = next(name for name in names if counts[name] > 1)
        raise DataError(f"--labels: {one_line(repr(repeated))} is listed twice; leave one out")
    if not all(name.strip() for name in names):
        blank = [not name.strip() for name in names].index(True)
        raise DataError(f"--labels: label number {blank + 1} is blank; name it or leave it out")
    if len(names) < kind.fewest_labels:
        raise DataError(f"--labels: found {len(names)} ({', '.join(names)}), expected at least two to tell apart")
    return names


def is_name(column: Column | None) -> TypeGuard[str]:
    """Whether a column is asked for by its name in a header, not by its index."""
    return isinstance(column, str) and not column.lstrip("-").isdecimal()


def resolve(column: Column, header: Sequence[str] | None, width: int, path: Path, flag: str) -> int:
    """The index of `column` in the rows of `path`.

    Digits are an index, unless a column of the header is called so.

    Raises:
      DataError: no such column, or a name that the header has twice.
    """
    if isinstance(column, str) and header is not None and column in header:
        if list(header).count(column) > 1:
            where = ", ".join(str(index) for index, name in enumerate(header) if name == column)
            raise DataError(f"{path}:1: the header has {column!r} twice; give --{flag} as one of the indices {where}")
        return list(header).index(column)
    if is_name(column):
        if header is None:
            raise DataError(f"--{flag}={column}: {path} is read without a header; give an index from 0 to {width - 1}")
        names = ", ".join(header)
        near = closest(column, header)
        near = "" if near.startswith("known") else f"{near}; "
        raise DataError(f"{path}:1: no column {column!r} for --{flag}; {near}columns: {one_line(names)}")
    index = int(column)
    if not -width <= index < width:
        raise DataError(f"{path}:1: no column {index} for --{flag}; the file has {width}, numbered 0 to {width - 1}")
    return index % width
