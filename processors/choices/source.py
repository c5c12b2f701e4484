"""The questions of a data set by split, checked."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from processors.choices.question import ChoiceQuestion, RawQuestion, checked
from processors.choices.tables import Read
from processors.reading import MissingDataError
from processors.tables.labels import RowError
from processors.tables.processor import BadRows

TRAIN, DEV, TEST = "train", "dev", "test"

Reader = Callable[[Path, str], Iterator[Read]]
"""Reads the questions of a file of a split."""
OnProblem = Callable[[DataError], None]


def stop(error: DataError) -> None:
    """Stops at a row that cannot be used.

    Raises:
      DataError: the error.
    """
    raise error


@dataclasses.dataclass(frozen=True)
class Rows:
    """How the rows of files become questions.

    Args:
      read: reads a file.
      label_as: what says which choice is right, one of `processors.choices.question.LABELS_AS`.
      description: what decides the questions besides the files and what is stated here, as plain JSON.
      max_choices: most places of a question; None for any number.
      skips: whether rows that cannot be used are left out and counted; else they stop the run.
    """

    read: Reader
    label_as: str
    description: Mapping[str, Any]
    max_choices: int | None = None
    skips: bool = False


class ChoiceSource:
    """Questions of files.

    Args:
      files: of each split, in order.
      rows: how they are read.
      on_problem: takes the error of a row that cannot be used, where such rows are not skipped.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]], rows: Rows, on_problem: OnProblem = stop) -> None:
        self._files = dict(files)
        self.rows = rows
        self.on_problem = on_problem
        self._reported: set[str] = set()

    def questions(self, split: str) -> Iterator[ChoiceQuestion]:
        """A fresh pass over a split; questions have the place of the right choice, but for those to predict.

        Raises:
          DataError: a row that cannot be used, or no data for the split.
        """
        for path in self.data_files(split):
            bad = BadRows(path, self.rows.skips)
            for where, found in self.rows.read(path, split):
                bad.rows += 1
                try:
                    yield self._checked(found, split)
                except RowError as error:
                    self._tell(bad, where, error)
            if bad.rows == 0:
                raise DataError(f"{path}: holds no question, expected at least one; check that it is the right file")
            bad.finish(str(path) not in self._reported)
            self._reported.add(str(path))

    def data_files(self, split: str) -> list[Path]:
        """The files of a split.

        Raises:
          MissingDataError: it has none.
        """
        if not self._files.get(split):
            flag = "predict_file or --test_file" if split == TEST else f"{split}_file"
            raise MissingDataError(f"no file for the {split} split; give --{flag}, or a {split}.* in --data_dir")
        return list(self._files[split])

    def description(self) -> dict[str, Any]:
        """What decides the questions besides the files, as plain JSON."""
        rows = self.rows
        return {
            **rows.description,
            "label_as": rows.label_as,
            "max_choices": rows.max_choices,
            "skips": rows.skips,
        }

    def _checked(self, found: RawQuestion | RowError, split: str) -> ChoiceQuestion:
        if isinstance(found, RowError):
            raise found
        return checked(found, self.rows.label_as, split == TEST, self.rows.max_choices)

    def _tell(self, bad: BadRows, where: int | str, error: RowError) -> None:
        try:
            bad.add(where, error)
        except DataError as told:
            self.on_problem(told)
