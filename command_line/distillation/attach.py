"""From flags to a task that learns of a teacher."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.distillation import comparison
from command_line.distillation.answers import answers_teacher
from command_line.distillation.inside import inside_of
from command_line.distillation.run_teacher import RunTeacher, TaskMaker
from command_line.flags.distillation import DISTILLATION
from command_line.model_files import ModelFiles
from common.errors import FlagError
from common.run_directory import RunDirectory
from processors.problem_types import REGRESSION
from processors.tables.processor import TableProcessor
from tasks.base import TEST, Task
from tasks.distillation import Distillation, Unlabelled

REFUSED = ("cache_features", "pad_to_max_length", "use_xla", "use_tpu")
"""Flags that scores beside the records do not go together with."""


def attach(script: TaskMaker, flags: SimpleNamespace, task: Task, files: ModelFiles, directory: RunDirectory) -> None:
    """Lets a task that is to be trained learn of the teacher that flags name.

    Args:
      script: of the task, and of the teacher's.
      flags: of the student, after `scopes.settle`.
      task: of the student.
      files: of the student's model.
      directory: of the student.

    Raises:
      BertError: the teacher cannot be used, or flags contradict each other.
    """
    if not hasattr(flags, "teacher"):
        return
    check(flags)
    if not (flags.do_train and has_teacher(flags)):
        return
    task.soft_target_shape()
    if "distill_temperature" in flags.typed and task.identity().get("problem_type") == REGRESSION.name:
        raise FlagError("--distill_temperature has no meaning for a number (--problem_type=regression); leave it out")
    unlabelled = _unlabelled(script, flags, task, files, directory) if getattr(flags, "unlabelled_file", None) else None
    teacher = answers_teacher(flags, task) or RunTeacher(script, flags, task)
    inside = inside_of(flags, files, teacher)
    task.distillation = Distillation(teacher, flags.distill_temperature, flags.distill_share, unlabelled, inside)


def has_teacher(flags: SimpleNamespace) -> bool:
    """Whether flags name a teacher."""
    return bool(flags.teacher or getattr(flags, "teacher_predictions", None))


def check(flags: SimpleNamespace) -> None:
    """Checks the flags about distillation against each other.

    Raises:
      FlagError: one of them without a teacher, or flags that do not go together.
    """
    if not has_teacher(flags):
        own = set(DISTILLATION.names()) - {"student_layers"}
        alone = sorted(own & flags.typed)
        if alone:
            raise FlagError(f"--{alone[0]} needs a teacher; add --teacher or --teacher_predictions, or leave it out")
        return
    if flags.teacher and getattr(flags, "teacher_predictions", None):
        raise FlagError("--teacher and --teacher_predictions name two teachers; remove one of them")
    if flags.distill_temperature == 0.0:
        raise FlagError("--distill_temperature=0: expected a number above 0; 1 to 4 are usual")
    if getattr(flags, "compare_teacher", False):
        comparison.check(flags)
    named = "teacher" if flags.teacher else "teacher_predictions"
    for name in REFUSED:
        if getattr(flags, name, None):
            raise FlagError(f"--{named} and --{name} do not go together; remove one of them")


def _unlabelled(
    script: TaskMaker, flags: SimpleNamespace, task: Any, files: ModelFiles, directory: RunDirectory
) -> Unlabelled:
    """The rows of `--unlabelled_file`, read as rows to predict.

    Raises:
      FlagError: the task reads no tables.
    """
    path = flags.unlabelled_file
    source = getattr(task, "example_source", None)
    if source is not None and not isinstance(source.processor, TableProcessor):
        raise FlagError(
            f"--unlabelled_file={path}: task {task.name} reads no tables; give --task_name=table, or a task that is a "
            "table"
        )
    values = {**vars(flags), "do_train": False, "do_predict": True, "predict_file": path}
    reading = script.task(SimpleNamespace(**{**values, "max_predict_examples": None}), files, directory)
    found = reading.data_files(TEST)
    if Path(path).name not in [file.name for file in found]:
        raise FlagError(f"--unlabelled_file={path}: task {task.name} reads its own files; leave it out")

    def examples() -> Iterator[Any]:
        return map(task.without_label, reading.examples(TEST))

    return Unlabelled(examples, tuple(found), reading.source(TEST))
