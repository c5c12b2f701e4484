"""Examples from pandas DataFrames, for Python programs and notebooks."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import DataError, closest, one_line
from processors.base import DataProcessor, InputExample, SelfDescribing, digest_of
from processors.problem_types import PROBLEM_TYPES, LabelError, label_text
from processors.reading import MissingDataError, lone_surrogate
from processors.tables.labels import ordered, warn_of_look_alikes
from processors.tables.spec import checked_labels

if TYPE_CHECKING:
    import pandas


class DataFrameProcessor(DataProcessor, SelfDescribing):
    """Rows of DataFrames as examples; the frames are not changed, and stay as they are while a command runs.

    Args:
      train: rows to train on; None where there are none.
      dev: rows to evaluate on.
      test: rows to predict; they need no label.
      text_a: column of the text.
      text_b: column of the second text; a row without one (None, NaN) has a single text.
      label: column of the label: a name or a number for a class, a list of names (multi_label), a number (regression);
        or several columns of 0 and 1, one a label (multi_label).
      guid: column of the row's own id; default `<split>-<place of the row from 0>`.
      labels: names of the classes in order; default the categories of a categorical column, else the labels of `train`.
      problem_type: `"single_label"`, `"regression"` or `"multi_label"`.

    Raises:
      DataError: a column that a frame does not have, an unknown problem type, labels that cannot be used.

    Example:
      DataFrameProcessor(train=train, dev=dev, text_a="review", label="stars")
    """

    def __init__(  # noqa: PLR0913 - three frames by position, the rest by name
        self,
        train: "pandas.DataFrame | None" = None,
        dev: "pandas.DataFrame | None" = None,
        test: "pandas.DataFrame | None" = None,
        *,
        text_a: str,
        text_b: str | None = None,
        label: str | Sequence[str] | None = None,
        guid: str | None = None,
        labels: Sequence[Any] | None = None,
        problem_type: str = "single_label",
    ) -> None:
        if problem_type not in PROBLEM_TYPES:
            raise DataError(f"problem_type={problem_type!r}: expected one of {', '.join(PROBLEM_TYPES)}")
        self.problem_type = problem_type
        self._kind = PROBLEM_TYPES[problem_type]
        self.frames = {
            name: frame for name, frame in (("train", train), ("dev", dev), ("test", test)) if frame is not None
        }
        self._text_a, self._text_b, self._guid = text_a, text_b, guid
        self._label_columns = [label] if isinstance(label, str) else list(label or ())
        self._has_column_a_label = label is not None and not isinstance(label, str)
        if self._has_column_a_label and not self._kind.takes_several:
            raise DataError("label names several columns, a column a label; give problem_type='multi_label'")
        for split in self.frames:
            self._check_columns(split)
        given = self._label_columns if self._has_column_a_label else labels
        self._labels = None if given is None else list(checked_labels([label_text(one) for one in given], problem_type))

    def get_train_examples(self, data_dir: str | None) -> Iterator[InputExample]:
        """Yields the rows of `train`."""
        return self._examples("train")

    def get_dev_examples(self, data_dir: str | None) -> Iterator[InputExample]:
        """Yields the rows of `dev`."""
        return self._examples("dev")

    def get_test_examples(self, data_dir: str | None) -> Iterator[InputExample]:
        """Yields the rows of `test`, without labels."""
        return self._examples("test")

    def get_labels(self) -> list[str]:
        """The labels that were given, else those of `train`."""
        if not self._kind.has_labels:
            return []
        if self._labels is None:
            self._labels = self._found_labels()
        return list(self._labels)

    def data_files(self, split: str, data_dir: str | None) -> list[Path]:
        """None: the rows are in memory."""
        self._frame(split)
        return []

    def settings(self) -> dict[str, Any]:
        """Problem type; the rows are in `content_digest`."""
        return {"problem_type": self.problem_type}

    def held_out_file(self, data_dir: str | None) -> Path | None:
        """None: dev rows have a frame of their own."""
        return None

    def content_digest(self, split: str) -> str | None:
        """Digest of the examples of a split as they are now: a frame may have been changed since the last command."""
        return digest_of(self._examples(split))

    def _frame(self, split: str) -> "pandas.DataFrame":
        if split not in self.frames:
            raise MissingDataError(f"DataFrameProcessor has no rows for the {split} split; give {split}=<DataFrame>")
        return self.frames[split]

    def _check_columns(self, split: str) -> None:
        columns = self.frames[split].columns
        needed = [self._text_a, self._text_b, self._guid, *(self._label_columns if split != "test" else ())]
        for name in needed:
            if name is not None and list(columns).count(name) != 1:
                known = [str(column) for column in columns]
                problem = "no column" if name not in columns else "several columns"
                raise DataError(f"{split} frame: {problem} {name!r}; {closest(str(name), known)}")

    def _found_labels(self) -> list[str]:
        if "train" not in self.frames:
            raise MissingDataError(
                "DataFrameProcessor has no rows for the train split to find the labels in; give train=<DataFrame>, or "
                "labels=[...], which the labels.txt of an output directory has in order"
            )
        frame = self.frames["train"]
        if not self._label_columns:
            raise DataError("DataFrameProcessor: label is missing; give the column of the label, or labels=[...]")
        column = frame[self._label_columns[0]]
        if hasattr(column, "cat"):
            return list(checked_labels([label_text(one) for one in column.cat.categories], self.problem_type))
        counts: Counter[str] = Counter()
        for value in column:
            if not _is_missing(value):
                is_list = isinstance(value, list | tuple | set) or getattr(value, "ndim", 0) == 1
                parts = value if is_list else [value]
                counts.update(label_text(one) for one in parts)
        labels = ordered(counts, Path("train frame"), self._kind)
        warn_of_look_alikes("train frame", labels, "write %r as %r to make them one")
        return list(checked_labels(labels, self.problem_type))

    def _examples(self, split: str) -> Iterator[InputExample]:
        frame = self._frame(split)
        known = frozenset(self.get_labels())
        columns = [name for name in (self._text_a, self._text_b, self._guid) if name is not None]
        columns += self._label_columns if split != "test" else []
        values = {name: frame[name].tolist() for name in columns}
        for place, row in enumerate(frame.index):
            where = f"{split} frame, row {one_line(repr(row), 40)}"
            guid = f"{split}-{place}" if self._guid is None else str(values[self._guid][place])
            text_a = _text(values[self._text_a][place], f"{where}, column {self._text_a!r}")
            if text_a is None:
                raise DataError(f"{where}, column {self._text_a!r}: found no text; remove the row, or correct it")
            text_b = None
            if self._text_b is not None:
                text_b = _text(values[self._text_b][place], f"{where}, column {self._text_b!r}")
            label = None
            if split != "test" and self._label_columns:
                label = self._label([values[name][place] for name in self._label_columns], known, where)
            yield InputExample(guid, text_a, text_b, label)

    def _label(self, cells: list[Any], known: frozenset[str], where: str) -> Any:
        if self._has_column_a_label:
            for name, cell in zip(self._label_columns, cells, strict=True):
                if _is_missing(cell) or cell not in (0, 1):
                    raise DataError(
                        f"{where}, column {name!r}: found {one_line(repr(cell), 40)}, expected 0 or 1; correct the row"
                    )
            return tuple(name for name, cell in zip(self._label_columns, cells, strict=True) if cell)
        where = f"{where}, column {self._label_columns[0]!r}"
        if _is_missing(cells[0]):
            raise DataError(f"{where}: found no label; remove the row, or correct it")
        try:
            return self._kind.checked(cells[0], known)
        except LabelError as error:
            raise DataError(f"{where}: {error}; correct the row, or give labels=[...]") from None


def _is_missing(value: Any) -> bool:
    """None, NaN and pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def _text(value: Any, where: str) -> str | None:
    """A text; None where there is none, or nothing but whitespace.

    Raises:
      DataError: it is something else.
    """
    if _is_missing(value):
        return None
    if not isinstance(value, str):
        raise DataError(f"{where}: found {one_line(repr(value), 60)}, a {type(value).__name__}; expected text")
    surrogate = lone_surrogate(value)
    if surrogate is not None:
        raise DataError(f"{where}: half a character (U+{ord(surrogate):04X}); correct how the text was read")
    return value if value.strip() else None
