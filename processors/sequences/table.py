"""Tables and JSON lines with a column for the source and one for the target."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from processors.base import InputExample
from processors.problem_types import REGRESSION
from processors.reading import Row
from processors.tables.file import TableFile
from processors.tables.labels import LabelReader
from processors.tables.processor import Survey, TableProcessor
from processors.tables.rows import RowParser, text_of
from processors.tables.spec import Split


@dataclasses.dataclass
class SequenceExample(InputExample):
    """A source (`text_a`) and the target to learn (`label`), which is None in rows to predict.

    Args:
      reference: the target of a row to predict, where it is known.
    """

    reference: str | None = None


class SequenceParser(RowParser):
    """Makes `SequenceExample`s of the rows of one file.

    Args:
      table: the file.
      split: `"train"`, `"dev"` or `"test"`; test rows need no target.
      layout: columns: `text_a` of the source, `label` of the target.

    Raises:
      DataError: a column that the file does not have.
    """

    flag_names: ClassVar[Mapping[str, str]] = {"text_a": "source", "label": "target"}

    def __init__(self, table: TableFile, split: str, layout: Split) -> None:
        super().__init__(table, split, layout, LabelReader(REGRESSION.name, None))

    def example(self, guid: str, text_a: str, text_b: str | None) -> InputExample:
        """Without its target, which is read as a label."""
        del text_b
        return SequenceExample(guid, text_a)

    def parse(self, number: int, row: Row) -> InputExample | None:
        """As `RowParser.parse`; of a row to predict, the target is no more than a reference.

        Raises:
          RowError: the row cannot be used.
        """
        example = super().parse(number, row)
        if isinstance(example, SequenceExample) and self._split == "test":
            example.reference, example.label = _known(example.label), None
        return example

    def read_label(self, cells: list[Any], index: int) -> str | None:
        """The target.

        Raises:
          RowError: there is none to train or evaluate with.
        """
        cell = cells[index]
        if self._split == "test" and isinstance(cell, str) and not cell.strip():
            return None
        return text_of(cell, self.flag_names["label"])


class SequenceTable(TableProcessor):
    """Reads sources and targets as a `TableSpec` says: `text_a` is the column of the source, `label` of the target.

    Where dev rows are held out from the training file, rows with the same source stay together.
    """

    def _parser(self, table: TableFile, split: str, layout: Split, labels: list[str] | None) -> RowParser:
        del labels
        return SequenceParser(table, split, layout)

    def _survey(self, path: Path, labels: list[str] | None) -> Survey:
        if path not in self._surveys:
            survey = Survey()
            for number, example in self._parsed("train", path, self.table.split("train"), labels):
                survey.rows.append((number, None, hash(example.text_a)))
            self._surveys[path] = survey
        return self._surveys[path]


def _known(label: Any) -> str | None:
    return label if isinstance(label, str) else None
