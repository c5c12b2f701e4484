"""What a run must be to teach, and to be compared with its student."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from command_line.distillation.run_teacher import RunTeacher
from common.errors import FlagError


def teacher(named, recorded):
    made = object.__new__(RunTeacher)
    task = SimpleNamespace(identity=lambda: {"labels": named})
    made.side = SimpleNamespace(task=task, directory=SimpleNamespace(path=Path("runs/large")))
    made._recorded = recorded
    return made


def test_a_teacher_whose_labels_stand_in_another_order_by_now_is_not_compared():
    teacher(["no", "yes"], ["no", "yes"]).check_order()
    with pytest.raises(FlagError) as refused:
        teacher(["no", "yes"], ["yes", "no"]).check_order()
    assert str(refused.value) == (
        "--compare_teacher: --teacher=runs/large was trained with the labels yes, no, but its task now names them in "
        "the order no, yes; give a teacher that was trained in this order, or leave --compare_teacher out"
    )
