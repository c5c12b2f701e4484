"""What the label of an example is: one class, any of several classes, or a number.

What differs between them before the model is said here, once; what differs behind it, in `tasks.classification.kinds`.
"""

import abc
import contextlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from common.errors import closest, one_line

LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127


class LabelError(ValueError):
    """A label that cannot be used; the message says neither where it is nor how it got there."""


class CellReader(Protocol):
    """Reads the cell of a table that holds a label; see `processors.tables.labels.LabelReader`."""

    def one(self, cell: Any) -> str | None:
        """The name of a class; None for a blank cell."""

    def several(self, cell: Any) -> tuple[str, ...] | None:
        """The names of several classes; None for a blank cell."""

    def number(self, cell: Any) -> float | None:
        """A number; None for a blank cell."""


class ProblemType(abc.ABC):
    """How labels are read, checked and stored.

    Attributes:
      name: as in `--problem_type`.
      has_labels: whether there are classes with names.
      takes_several: whether an example may have several of them, or none.
      fewest_labels: how many classes there must be.
      dtype: of the stored label, as in `processors.records.schema.Field`.
      blank_label: what a blank cell means in rows to train or evaluate with; None: the row lacks its label.
    """

    name: str
    has_labels: bool = True
    takes_several: bool = False
    fewest_labels: int = 2
    dtype: str = "int64"
    blank_label: tuple[str, ...] | None = None

    @property
    def is_exclusive(self) -> bool:
        """Whether every example has exactly one class."""
        return self.has_labels and not self.takes_several

    def shape(self, num_labels: int) -> tuple[int, ...]:
        """Shape of the stored label; a scalar by default."""
        del num_labels
        return ()

    @abc.abstractmethod
    def checked(self, label: Any, known: Collection[str]) -> Any:
        """A label of any origin as `InputExample.label` has it.

        Args:
          label: what the example of a user's class holds, not None.
          known: names of the classes.

        Raises:
          LabelError: it cannot be used.
        """

    @abc.abstractmethod
    def value(self, label: Any, ids: Mapping[str, int]) -> Any:
        """What a record holds of a label.

        Args:
          label: as `InputExample.label` has it, not None.
          ids: class id of each name.

        Raises:
          LabelError: it cannot be used.
        """

    @abc.abstractmethod
    def read_cell(self, cell: Any, reader: CellReader) -> Any:
        """The label in a cell of a table; None for a blank one."""

    @abc.abstractmethod
    def names(self, label: Any) -> Iterable[str]:
        """The names of classes in a label, as `InputExample.label` has it; none in a number."""


class _SingleLabel(ProblemType):
    """One class of several: `label` is its name; stored as its id."""

    name = "single_label"

    def checked(self, label: Any, known: Collection[str]) -> str:
        name = label_text(label)
        if name not in known:
            raise LabelError(f"label {_shown(label)} is not one of the labels; {closest(name, known)}")
        return name

    def value(self, label: Any, ids: Mapping[str, int]) -> int:
        return _class_id(label, ids)

    def read_cell(self, cell: Any, reader: CellReader) -> str | None:
        return reader.one(cell)

    def names(self, label: Any) -> Iterable[str]:
        return (label,)


class _MultiLabel(ProblemType):
    """Any of several classes: `label` is a tuple of their names; stored as 0.0 or 1.0 for each class."""

    name = "multi_label"
    takes_several = True
    fewest_labels = 1
    dtype = "float32"
    blank_label = ()

    def shape(self, num_labels: int) -> tuple[int, ...]:
        return (num_labels,)

    def checked(self, label: Any, known: Collection[str]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(label_text(one) for one in self._several(label)))
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise LabelError(f"label {_shown(unknown)} is not one of the labels; {closest(unknown, known)}")
        return names

    def value(self, label: Any, ids: Mapping[str, int]) -> list[float]:
        present = {_class_id(one, ids) for one in self._several(label)}
        return [float(index in present) for index in range(len(ids))]

    def read_cell(self, cell: Any, reader: CellReader) -> tuple[str, ...] | None:
        return reader.several(cell)

    def names(self, label: Any) -> Iterable[str]:
        return tuple(label)

    def _several(self, label: Any) -> Iterable[Any]:
        if isinstance(label, list | tuple | set | frozenset) or getattr(label, "ndim", 0) == 1:  # or an array of NumPy
            return list(label)
        raise LabelError(f"label {_shown(label)} is not a list of labels; expected one for --problem_type={self.name}")


class _Regression(ProblemType):
    """A number; stored as float32."""

    name = "regression"
    has_labels = False
    fewest_labels = 0
    dtype = "float32"

    def checked(self, label: Any, known: Collection[str]) -> float:
        del known
        try:
            score = float(label)
        except (TypeError, ValueError, OverflowError):
            score = math.nan
        if not math.isfinite(score) or abs(score) > LARGEST_FLOAT32:
            raise LabelError(
                f"label {_shown(label)} is not a finite float32 number; expected a score for --problem_type={self.name}"
            )
        return score

    def value(self, label: Any, ids: Mapping[str, int]) -> float:
        return self.checked(label, ids)

    def read_cell(self, cell: Any, reader: CellReader) -> float | None:
        return reader.number(cell)

    def names(self, label: Any) -> Iterable[str]:
        del label
        return ()


SINGLE_LABEL, REGRESSION, MULTI_LABEL = _SingleLabel(), _Regression(), _MultiLabel()
PROBLEM_TYPES: Mapping[str, ProblemType] = {one.name: one for one in (SINGLE_LABEL, REGRESSION, MULTI_LABEL)}
"""By name, as `DataProcessor.problem_type` and `--problem_type` give it."""


def label_text(label: Any) -> str:
    """A label as text: numbers as Python writes integers, so that 1, True's kin in NumPy and 1.0 are each one label.

    Example:
      >>> label_text(1), label_text(1.0), label_text(True)
      ('1', '1', 'True')
    """
    if isinstance(label, bytes):
        return label.decode("utf-8", errors="backslashreplace")
    if not isinstance(label, str) and hasattr(label, "item"):  # a scalar of NumPy
        with contextlib.suppress(ValueError):  # an array, which is no label
            label = label.item()
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def _class_id(label: Any, ids: Mapping[str, int]) -> int:
    try:
        return ids[label]
    except (KeyError, TypeError):
        names: Sequence[str] = list(ids)
        raise LabelError(f"label {_shown(label)} is not one of the labels; {closest(str(label), names)}") from None


def _shown(label: Any) -> str:
    return one_line(repr(label), 80)
