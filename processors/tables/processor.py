"""`TableProcessor`: a data set that is declared, not programmed."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.base import SPLITS, DataProcessor, InputExample, SelfDescribing
from processors.problem_types import PROBLEM_TYPES, ProblemType
from processors.reading import MissingDataError
from processors.tables.file import TableFile
from processors.tables.headers import check_header
from processors.tables.labels import (
    LabelReader,
    RowError,
    labels_of,
    ordered,
    several_in_one,
    warn_of_look_alikes,
)
from processors.tables.rows import RowParser
from processors.tables.spec import Columns, Split, TableSpec, checked_labels
from processors.tables.splitting import STEMS, find_file, held_out, named_file, unused_splits

log = logging.getLogger(__name__)

MOST_WAITING = 100_000
"""Dev rows that are kept from the training pass to their own conversion; of more, the file is read again."""
FEWEST_ROWS = 20
"""Smallest file in which a majority of malformed rows means another encoding or format."""
MALFORMED = "malformed row"


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
        self.first: dict[str, int | str] = {}
        self._skip = skip

    def add(self, line: int | str, error: RowError) -> None:
        """Counts a bad row.

        Args:
          line: where it is: a line, or in words where lines do not tell.
          error: what is wrong with it.

        Raises:
          DataError: bad rows are to stop the run.
        """
        if not self._skip:
            raise DataError(f"{self.path}:{' ' if isinstance(line, str) else ''}{line}: {error}")
        self.counts[error.reason] += 1
        self.first.setdefault(error.reason, line)

    def finish(self, tells: bool) -> None:
        """Reports what was skipped.

        Raises:
          DataError: most rows have bytes that are not of the encoding.
        """
        undecodable = self.counts[MALFORMED] if self.counts else 0
        if self.rows >= FEWEST_ROWS and 2 * undecodable > self.rows:
            raise DataError(
                f"{self.path}: {undecodable} of {self.rows} rows are malformed or not of the encoding; give --encoding "
                "(gb18030 and latin-1 are common), --delimiter or --quoting"
            )
        if self.counts and tells:
            log.warning("%s", self)

    def __str__(self) -> str:
        """One line, e.g. `skipped 2 of 9 rows of train.tsv: 2 short row (first: row 4)`."""
        details = ", ".join(
            f"{n} {reason} (first: {first if isinstance(first := self.first[reason], str) else f'row {first}'})"
            for reason, n in self.counts.most_common()
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
      passes: how often each file was read, by its name.
    """

    spec: TableSpec | None = None
    is_published = False
    """Whether the files are those of a published data set, whose class says how to read them."""

    def __init__(self, spec: TableSpec | None = None, data_dir: str | None = None, **changes: Any) -> None:
        spec = spec or type(self).spec
        if spec is None:
            raise DataError("--task_name=table needs the column of the text; give --text_a, and --label to train")
        self.table = spec.replace(**changes)
        self._named = {split for split in SPLITS if changes.get(f"{split}_file") is not None}
        self._told: set[str] = set()
        self.problem_type = self.table.problem_type
        self.bad_rows: dict[str, BadRows] = {}
        self.passes: Counter[str] = Counter()
        self._data_dir = data_dir
        self._labels: list[str] | None = None
        self._surveys: dict[Path, Survey] = {}
        self._dev_examples: dict[Path, list[InputExample]] = {}

    def get_train_examples(self, data_dir: str | None) -> Iterable[InputExample]:
        """Yields training rows; without those held out where there is no dev file."""
        return self._examples("train", data_dir)

    def get_dev_examples(self, data_dir: str | None) -> Iterable[InputExample]:
        """Yields dev rows, or the rows held out from training where there is no dev file."""
        return self._examples("dev", data_dir)

    def get_test_examples(self, data_dir: str | None) -> Iterable[InputExample]:
        """Yields test rows, with labels where the file has them."""
        return self._examples("test", data_dir)

    def get_labels(self) -> list[str]:
        """The declared labels, or those of the training file.

        Raises:
          DataError: none are declared, and there is no training file to find them in.
        """
        if not self._kind.has_labels:
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

    def settings(self) -> dict[str, Any]:
        """The declaration as plain JSON."""
        return {**dataclasses.asdict(self.table), "problem_type": self.problem_type}

    def held_out_file(self, data_dir: str | None) -> Path | None:
        """The training file, where dev rows are held out from it; None where they have a file of their own."""
        try:
            path, is_held_out = self._source("dev", data_dir)
        except MissingDataError:
            return None
        return path if is_held_out else None

    @property
    def _kind(self) -> ProblemType:
        return PROBLEM_TYPES[self.problem_type]

    def _examples(self, split: str, data_dir: str | None) -> Iterator[InputExample]:
        self._data_dir = data_dir or self._data_dir
        path, is_split_off = self._source(split, data_dir)
        if not is_split_off:
            yield from (example for _, example in self._parsed(split, path, self.table.split(split), self.get_labels()))
        elif split == "dev" and path in self._dev_examples:
            yield from self._dev_examples.pop(path)
        else:
            yield from self._split_off(split, path)

    def _split_off(self, split: str, path: Path) -> Iterator[InputExample]:
        """Rows of the training file that belong to `split`; the dev rows of a training pass wait for their own."""
        held = self._held_rows(path)
        keeps = split == "train" and len(held) <= MOST_WAITING
        waiting: list[InputExample] = []
        for number, example in self._parsed(split, path, self.table.split("train"), self.get_labels()):
            if (number in held) == (split == "dev"):
                yield example
            elif keeps:
                waiting.append(dataclasses.replace(example, guid=example.guid.replace("train-", "dev-", 1)))
        if keeps:
            self._dev_examples[path] = waiting

    def _parsed(
        self, split: str, path: Path, layout: Split, labels: list[str] | None
    ) -> Iterator[tuple[int, InputExample]]:
        """Yields `(record number, example)` of the rows that can be used; counts or stops at the others."""
        table = self._opened(path, layout)
        self._compare_headers(split, table, layout)
        self.passes[path.name] += 1
        parser = self._parser(table, split, layout, labels)
        bad = BadRows(path, self._skips)
        for number, row in table:
            bad.rows += 1
            try:
                example = parser.parse(number, row)
            except RowError as error:
                bad.add(row.line, error)
                continue
            if example is not None:
                yield number, example
        bad.finish(split not in self.bad_rows)
        if parser.ignored_labels and split not in self.bad_rows:
            log.info(
                "%s: %d rows have labels that are not among those of the model", path, parser.ignored_labels.total()
            )
        if split not in self.bad_rows and not self.is_published:
            table.warn_of_quotes()
        self.bad_rows[split] = bad

    @property
    def _skips(self) -> bool:
        return self.table.on_bad_row == "skip"

    def _opened(self, path: Path, layout: Split) -> TableFile:
        return TableFile(path, layout.format or self.table.format, _names(layout.columns), self._skips)

    def _compare_headers(self, split: str, table: TableFile, layout: Split) -> None:
        """Refuses a header that is not that of training, where columns are indices and the flags describe the files.

        Raises:
          DataError: they differ.
        """
        own = self.table.splits.get(split, Split())
        declared = type(self).spec is not None or own.format is not None or own.columns is not None
        if declared or not table.has_header_line or _names(layout.columns):
            return
        training = None if split == "train" else self._find("train", self._data_dir)
        layout_of_training = self.table.split("train").format or self.table.format
        check_header(table, training, layout_of_training, split not in self.bad_rows)

    def _parser(self, table: TableFile, split: str, layout: Split, labels: list[str] | None) -> RowParser:
        spec = self.table
        reader = LabelReader(self.problem_type, labels, spec.label_separator, spec.rename, spec.label_as)
        return RowParser(table, split, layout, reader, self._kind.blank_label)

    def _survey(self, path: Path, labels: list[str] | None) -> "Survey":
        """One pass over the training file: which labels it has, and the class and text of each row."""
        if path not in self._surveys:
            survey = Survey()
            for number, example in self._parsed("train", path, self.table.split("train"), labels):
                survey.add(number, example)
            self._surveys[path] = survey
        return self._surveys[path]

    def _discover_labels(self) -> list[str]:
        path = self._find("train", self._data_dir)
        if path is None:
            raise DataError(
                f"{self._missing('train', self._data_dir)}, or without training rows the labels: --labels=a,b,c or "
                "--labels=FILE"
            )
        survey = self._survey(path, None)
        labels = ordered(survey.labels, path, self._kind)
        # Only now that labels are known does a first row of data show that was taken for a header.
        layout = self.table.split("train")
        self._parser(self._opened(path, layout), "train", layout, labels)
        self._warn_of_labels(path, survey, labels)
        return list(checked_labels(labels, self.problem_type))

    def _warn_of_labels(self, path: Path, survey: "Survey", labels: list[str]) -> None:
        """Names labels that are probably not meant: alike, several in one, and one that a header has left."""
        warn_of_look_alikes(path, labels, "--label_names=%s=%s makes them one")
        takes_several = self._kind.takes_several
        if (found := several_in_one(labels, takes_several)) is not None:
            joined, separator = found
            advice = f"--label_separator='{separator}'" if takes_several else "--problem_type=multi_label"
            log.warning(
                "%s: %r is a class of its own, but looks like several labels with %r between; to read it so, give %s",
                path, joined, separator, advice,
            )  # fmt: skip
        number, label, _ = survey.rows[0]
        layout = self.table.split("train")
        if number == 0 and not (layout.format or self.table.format).header and survey.labels[str(label)] == 1:
            log.warning(
                "%s:1: no other row has the label %r of this line; if it is a header, leave out --header=false",
                path, label,
            )  # fmt: skip

    def _held_rows(self, path: Path) -> set[int]:
        """Record numbers of the training rows that serve as dev rows."""
        survey = self._survey(path, self.get_labels())
        if survey.held is None:
            survey.held = held_out(survey.rows, self.table.dev_fraction, self.table.seed)
            if not survey.held:
                raise DataError(
                    f"{path}: {len(survey.rows)} rows are too few to hold out dev rows; give --dev_file, or "
                    "--dev_fraction=0"
                )
            log.info(
                "no dev file beside %s: %d of its %d rows are held out for the dev split",
                path, len(survey.held), len(survey.rows),
            )  # fmt: skip
            self._name_unused(path.parent)
        return survey.held

    def _name_unused(self, folder: Path) -> None:
        used = [found for split in STEMS if (found := self._find(split, self._data_dir)) is not None]
        names = unused_splits(folder, used)
        if names:
            log.warning("%s: not used: %s; if one holds dev rows, give --dev_file", folder, ", ".join(names))

    def _source(self, split: str, data_dir: str | None) -> tuple[Path, bool]:
        """The file of `split`, and whether it is the training file with dev rows held out."""
        path = self._find(split, data_dir)
        dev_is_held_out = split != "test" and self.table.dev_fraction > 0 and self._find("dev", data_dir) is None
        if path is None and split == "dev" and dev_is_held_out:
            path = self._find("train", data_dir)
        if path is None:
            raise self._missing(split, data_dir)
        return path, dev_is_held_out

    def _missing(self, split: str, data_dir: str | None) -> MissingDataError:
        stems = ", ".join(f"{stem}.*" for stem in STEMS[split])
        there = ""
        if data_dir is not None and Path(data_dir).is_dir():
            names = sorted(path.name for path in Path(data_dir).iterdir() if path.is_file())
            there = f" (there: {one_line(', '.join(names), 120)})" if names else " (the folder holds no file)"
        return MissingDataError(f"no {stems} in {data_dir or '--data_dir'}{there}; give --{split}_file=PATH")

    def _find(self, split: str, data_dir: str | None) -> Path | None:
        """The file of `split`: as declared or named, under `data_dir` or as it stands; else by its stem.

        Raises:
          DataError: one that is named is in both places, or several fit the stem.
        """
        file = self.table.split(split).file
        if file is None:
            return find_file(split, data_dir)
        if split in self._named:
            tells = split not in self._told
            self._told.add(split)
            return named_file(file, data_dir, split, tells)
        inside = Path(data_dir or "") / file
        return inside if inside.exists() or not Path(file).exists() else Path(file)


class Survey:
    """What one pass over a training file tells: its labels, and of each row its number, class and a digest of its text.

    Attributes:
      held: numbers of the rows that serve as dev rows, once they are chosen.
    """

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self.rows: list[tuple[int, str | None, int]] = []
        self.held: set[int] | None = None

    def add(self, number: int, example: InputExample) -> None:
        """Adds a row; its class is its label or the first of several; scores are one class."""
        names = labels_of(example)
        self.labels.update(names)
        self.rows.append((number, names[0] if names else None, hash((example.text_a, example.text_b))))


def _names(columns: Columns | None) -> list[str]:
    return [] if columns is None else columns.names()
