"""A teacher's scores for the training rows, computed once and kept beside the records; see `estimator.row_values`."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from estimator import feature_cache, row_values
from modeling.heads.base import Head
from modeling.heads.distillation import IS_LABELLED, DistilledHead
from modeling.heads.intermediate import IntermediateHead
from modeling.heads.soft_losses import TEACHER_SCORES
from processors.records.record_sets import RecordSet, fingerprint_of
from tasks.base import Task

LABELLED = "labelled_rows"


@final
class SoftTargets:
    """The teacher's scores of each row, and which rows have a label: those before the others.

    Args:
      values: the scores; their description says how many rows have a label.
    """

    def __init__(self, values: row_values.RowValues) -> None:
        self._values, self._labelled = values, int(values.described[LABELLED])
        self.shapes: dict[str, tuple[int | None, ...]] = {**values.shapes, IS_LABELLED: (None,)}

    def read(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Of some rows."""
        return {**self._values.read(rows), IS_LABELLED: (rows < self._labelled).astype(np.float32)}


def trained_head(task: Task) -> Head:
    """The head of a task as it is trained: on the scores of a teacher as well, where the task has one."""
    head: Head = task.head(is_training=True)
    if task.distillation is None:
        return head
    taught = DistilledHead(head, task.distillation.share, task.distillation.temperature)
    inside = task.distillation.inside
    return taught if inside is None else IntermediateHead(taught, inside)


def soft_targets_of(task: Task, record_set: RecordSet, examples: Iterable[Any]) -> SoftTargets | None:
    """What the teacher of a task says of each training row; None where the task has no teacher.

    Args:
      task: of the student.
      record_set: the training rows.
      examples: those of the records, in their order; read only where nothing is kept yet.

    Raises:
      DataError: the teacher gives other windows than the student has, or the disk has no room.
      BertError: the teacher has no scores for an example.
    """
    if task.distillation is None:
        return None
    shape = task.soft_target_shape()
    is_sequence = len(shape) > 1
    wanted = row_values.Wanted(
        what="the teacher's scores",
        suffix=".teacher",
        name=TEACHER_SCORES,
        # Not of the records alone: the teacher may read more of a text, or read it in another way.
        made_of={**task.distillation.teacher.made_of(), "examples": fingerprint_of(record_set)},
        dtype="float32",
        is_sequence=is_sequence,
        width=int(shape[-1] or 0),
        most=feature_cache.tokens(record_set) if is_sequence else record_set.num_records,
    )
    rows = _Rows(task, record_set, examples, wanted)
    return SoftTargets(row_values.built(record_set, wanted, rows))


class _Rows:
    """One pass of the examples through the teacher."""

    def __init__(self, task: Task, record_set: RecordSet, examples: Iterable[Any], wanted: row_values.Wanted) -> None:
        assert task.distillation is not None
        self._task, self._distillation, self._examples = task, task.distillation, examples
        self._num_records, self._wanted = record_set.num_records, wanted

    def __call__(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Gives the number of each row, and the teacher's scores `[n, C]`.

        Raises:
          DataError: the teacher has other windows than the records.
        """
        count, windows_of = 0, []
        for example, windows in self._distillation.teacher.scores(self._examples):
            windows_of.append(len(windows))
            if self._wanted.is_sequence:
                self._check(example, windows)
            for scores in windows:
                if count < self._num_records:
                    yield count, scores.reshape(-1, self._wanted.width)
                count += 1
        if count != self._num_records:
            raise DataError(
                f"--teacher: cuts the training examples into {count} windows, but the student into "
                f"{self._num_records}; give both the same vocabulary and lengths"
            )
        unlabelled = self._distillation.unlabelled
        of_unlabelled = 0 if unlabelled is None else sum(1 for _ in unlabelled.examples())
        self._wanted.notes[LABELLED] = sum(itertools.islice(windows_of, len(windows_of) - of_unlabelled))

    def _check(self, example: Any, windows: Sequence[NDArray[Any]]) -> None:
        """Compares the places that the teacher has scores of with those of the student.

        Raises:
          DataError: they are others.
        """
        (own,) = self._task.featurizer.featurize([example])
        ours, theirs = [self._task.soft_target_places(window) for window in own], [len(window) for window in windows]
        if ours != theirs:
            name = getattr(example, "guid", None) or getattr(example, "qas_id", "")
            raise DataError(
                f"--teacher: cuts example {name} into windows of {theirs} places, but the student into {ours}; give "
                "both the same vocabulary, or a longer --max_seq_length"
            )
