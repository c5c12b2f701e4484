"""`TableProcessor`: a data set that is declared, not programmed."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError
from processors.base import DataProcessor, InputExample, SelfDescribing
from processors.reading import MissingDataError
from processors.tables.file import RowParser, TableFile
from processors.tables.labels import LabelReader, RowError, ordered
from processors.tables.spec import Split, TableSpec, checked_labels
from processors.tables.splitting import STEMS, find_file, held_out

log = logging.getLogger(__name__)


class BadRows:
    """Rows of one file that could not be used: stops at the first, or counts them by reason.

    Args:
      path: the file, for messages.
      skip: count instead of stopping.
    """

    def __init__(self, path: Path, skip: bool) -> None:
        self.path = path
        self.rows = 0
        self.counts: Counter[str] = Counter()
        self.first: dict[str, int] = {}
        self._skip = skip

    def add(self, line: int, error: RowError) -> None:
        """Counts a bad row.

        Raises:
          DataError: bad rows are to stop the run.
        """
        if not self._skip:
            raise DataError(f"{self.path}:{line}: {error}")
        self.counts[error.reason] += 1
        self.first.setdefault(error.reason, line)

    def __str__(self) -> str:
        """One line, e.g. `skipped 2 of 9 rows of train.tsv: 2 short row (first: row 4)`."""
        details = ", ".join(
            f"{n} {reason} (first: row {self.first[reason]})" for reason, n in self.counts.most_common()
        )
        return f"skipped {self.counts.total()} of {self.rows} rows of {self.path.name}: {details}"


class TableProcessor(DataProcessor, SelfDescribing):
    """Reads a data set as its `TableSpec` says; examples stream.

    A subclass declares `spec`; otherwise it is given.

    Args:
      spec: the declaration; default the class's own.
      data_dir: where to look for the training file when labels are asked for before any examples are.
      **changes: as for `TableSpec.replace`, e.g. `on_bad_row="skip"` or `test_file="new.tsv"`.

    Attributes:
      bad_rows: for each split read to its end, what was skipped (`BadRows`).
    """

    spec: TableSpec | None = None

    def __init__(self, spec: TableSpec | None = None, data_dir: str | None = None, **changes: Any) -> None:
        spec = spec or type(self).spec
        if spec is None:
            raise DataError("--task_name=table needs the column of the text; give --text_a, and --label to train")
        self.table = spec.replace(**changes)
        self.problem_type = self.table.problem_type
        self.bad_rows: dict[str, BadRows] = {}
        self._data_dir = data_dir
        self._labels: list[str] | None = None
        self._held_out: dict[Path, set[int]] = {}

    def get_train_examples(self, data_dir: str | None) -> Iterator[InputExample]:
        """Yields training rows; without those held out where there is no dev file."""
        return self._examples("train", data_dir)

    def get_dev_examples(self, data_dir: str | None) -> Iterator[InputExample]:
        """Yields dev rows, or the rows held out from training where there is no dev file."""
        return self._examples("dev", data_dir)

    def get_test_examples(self, data_dir: str | None) -> Iterator[InputExample]:
        """Yields test rows, with labels where the file has them."""
        return self._examples("test", data_dir)

    def get_labels(self) -> list[str]:
        """The declared labels, or those of the training file.

        Raises:
          DataError: none are declared, and there is no training file to find them in.
        """
        if self.problem_type == "regression":
            return []
        if self.table.labels is not None:
            return list(self.table.labels)
        if self._labels is None:
            self._labels = self._discover_labels()
        return list(self._labels)

    def data_files(self, split: str, data_dir: str | None) -> list[Path]:
        """The one file that `split` is read from.

        Raises:
          DataError: there is none.
        """
        return [self._source(split, data_dir)[0]]

    def held_out_file(self, data_dir: str | None) -> Path | None:
        """The training file, where dev rows are held out from it; None where they have a file of their own."""
        try:
            path, is_held_out = self._source("dev", data_dir)
        except MissingDataError:
            return None
        return path if is_held_out else None

    def settings(self) -> dict[str, Any]:
        """The declaration as plain JSON."""
        return {**dataclasses.asdict(self.table), "problem_type": self.problem_type}

    def _examples(self, split: str, data_dir: str | None) -> Iterator[InputExample]:
        self._data_dir = data_dir or self._data_dir
        path, is_split_off = self._source(split, data_dir)
        held = self._held_rows(path) if is_split_off else None
        layout = self.table.split("train" if is_split_off else split)
        for number, example in self._parsed(split, path, layout, self.get_labels()):
            if held is None or (number in held) == (split == "dev"):
                yield example

    def _parsed(
        self, split: str, path: Path, layout: Split, labels: list[str] | None
    ) -> Iterator[tuple[int, InputExample]]:
        """Yields `(record number, example)` of the rows that can be used; counts or stops at the others."""
        table = TableFile(path, layout.format or self.table.format)
        parser = self._parser(table, split, layout, labels)
        bad = BadRows(path, self.table.on_bad_row == "skip")
        for number, row in table:
            bad.rows += 1
            try:
                example = parser.parse(number, row)
            except RowError as error:
                bad.add(row.line, error)
                example = error.kept
            if example is not None:
                yield number, example
        if bad.counts and split not in self.bad_rows:
            log.warning("%s", bad)
        self.bad_rows[split] = bad

    def _parser(self, table: TableFile, split: str, layout: Split, labels: list[str] | None) -> RowParser:
        spec = self.table
        reader = LabelReader(self.problem_type, labels, spec.label_separator, spec.rename)
        return RowParser(table, split, layout, reader, () if self.problem_type == "multi_label" else None)

    def _discover_labels(self) -> list[str]:
        path = self._find("train", self._data_dir)
        if path is None:
            where = self._data_dir or "--data_dir"
            raise DataError(f"{where}: no training file to find the labels in; give --labels=a,b,c or --labels=FILE")
        layout = self.table.split("train")
        counts: Counter[str] = Counter()
        for _, example in self._parsed("train", path, layout, None):
            counts.update([example.label] if isinstance(example.label, str) else example.label)  # type: ignore[arg-type]
        labels = ordered(counts, path, self.problem_type)
        # Only now that labels are known does a first row of data show that was taken for a header.
        self._parser(TableFile(path, layout.format or self.table.format), "train", layout, labels)
        return list(checked_labels(labels, self.problem_type))

    def _held_rows(self, path: Path) -> set[int]:
        """Record numbers of the training rows that serve as dev rows."""
        if path not in self._held_out:
            rows = self._parsed("train", path, self.table.split("train"), self.get_labels())
            keys = [(number, _stratum(example)) for number, example in rows]
            chosen = held_out(keys, self.table.dev_fraction, self.table.seed)
            if not chosen:
                raise DataError(
                    f"{path}: {len(keys)} rows are too few to hold out dev rows; give --dev_file, or --dev_fraction=0"
                )
            log.info(
                "no dev file beside %s: %d of its %d rows are held out for the dev split", path, len(chosen), len(keys)
            )
            self._held_out[path] = chosen
        return self._held_out[path]

    def _source(self, split: str, data_dir: str | None) -> tuple[Path, bool]:
        """The file of `split`, and whether it is the training file with dev rows held out."""
        path = self._find(split, data_dir)
        dev_is_held_out = split != "test" and self.table.dev_fraction > 0 and self._find("dev", data_dir) is None
        if path is None and split == "dev" and dev_is_held_out:
            path = self._find("train", data_dir)
        if path is None:
            expected = ", ".join(f"{stem}.tsv" for stem in STEMS[split])
            raise MissingDataError(
                f"{data_dir or '--data_dir'}: no table for the {split} split; expected {expected} (or .csv, .txt, "
                f".jsonl, compressed or not), or its path in --{split}_file"
            )
        return path, dev_is_held_out

    def _find(self, split: str, data_dir: str | None) -> Path | None:
        """The file of `split`: as declared, under `data_dir` or as it stands; else by its stem."""
        file = self.table.split(split).file
        if file is None:
            return find_file(split, data_dir)
        inside = Path(data_dir or "") / file
        return inside if inside.exists() or not Path(file).exists() else Path(file)


def _stratum(example: InputExample) -> str | None:
    """The class that a held-out row stands for: its label, or the first of several; scores are one class."""
    if isinstance(example.label, tuple):
        return example.label[0] if example.label else None
    return example.label if isinstance(example.label, str) else None
