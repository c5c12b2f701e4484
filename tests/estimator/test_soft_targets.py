"""A teacher's scores by row, and which rows have a label."""

import numpy as np
import pytest

from common.errors import DataError
from estimator import soft_targets
from modeling.heads.distillation import IS_LABELLED
from modeling.heads.soft_losses import TEACHER_SCORES
from processors.records.record_sets import RecordSet
from tasks.distillation import Distillation, Teacher, Unlabelled


class Constant(Teacher):
    """Says of example n, for each of its windows, n and n + 1."""

    def __init__(self, windows):
        self.windows = windows

    def made_of(self):
        return {"constant": 1}

    def scores(self, examples):
        for number in examples:
            yield number, [np.array([number, number + 1], np.float32)] * self.windows


class Task:
    def __init__(self, windows=1):
        unlabelled = Unlabelled(lambda: iter([3, 4]), (), {})
        self.distillation = Distillation(Constant(windows), unlabelled=unlabelled)

    def soft_target_shape(self):
        return (2,)


def records(folder, count):
    path = folder / "train.tf_record"
    path.write_bytes(b"records")
    return RecordSet(path, count, count, reused=False)


def test_rows_without_labels_come_last(tmp_path):
    found = soft_targets.soft_targets_of(Task(), records(tmp_path, 5), iter(range(5)))
    batch = found.read(np.array([4, 0, 2, 3]))
    np.testing.assert_array_equal(batch[TEACHER_SCORES], [[4, 5], [0, 1], [2, 3], [3, 4]])
    np.testing.assert_array_equal(batch[IS_LABELLED], [0, 1, 1, 0])
    assert found.shapes == {TEACHER_SCORES: (None, 2), IS_LABELLED: (None,)}


def test_windows_of_an_example_stand_together(tmp_path):
    found = soft_targets.soft_targets_of(Task(windows=2), records(tmp_path, 10), iter(range(5)))
    np.testing.assert_array_equal(found.read(np.arange(10))[IS_LABELLED], [1] * 6 + [0] * 4)


def test_other_windows_than_the_students_are_refused(tmp_path):
    with pytest.raises(DataError, match="cuts the training examples into 5 windows, but the student into 6"):
        soft_targets.soft_targets_of(Task(), records(tmp_path, 6), iter(range(5)))
    assert not list(tmp_path.glob("*.teacher*"))


def test_kept_scores_are_read_again_without_the_teacher(tmp_path):
    first = soft_targets.soft_targets_of(Task(), records(tmp_path, 5), iter(range(5)))
    again = soft_targets.soft_targets_of(Task(), records(tmp_path, 5), iter(()))  # which would give no rows
    np.testing.assert_array_equal(again.read(np.arange(5))[IS_LABELLED], first.read(np.arange(5))[IS_LABELLED])


def test_scores_are_computed_again_where_the_records_are_made_of_other_texts(tmp_path, monkeypatch):
    """The teacher may read more of a text than the student, whose records are then the same bytes."""
    monkeypatch.setattr(soft_targets, "fingerprint_of", lambda _: "first")
    soft_targets.soft_targets_of(Task(), records(tmp_path, 5), iter(range(5)))
    monkeypatch.setattr(soft_targets, "fingerprint_of", lambda _: "second")
    others = soft_targets.soft_targets_of(Task(), records(tmp_path, 5), iter([7, *range(1, 5)]))
    np.testing.assert_array_equal(others.read(np.array([0]))[TEACHER_SCORES], [[7, 8]])
