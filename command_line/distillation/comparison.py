"""`--compare_teacher`: teacher and student side by side on the dev rows."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from command_line.distillation.answers import CHUNK_EXAMPLES
from command_line.distillation.run_teacher import RunTeacher, Side, TaskMaker
from command_line.model_files import ModelFiles
from common.errors import FlagError
from common.files import write_atomically
from common.run_directory import RunDirectory
from processors.records.featurizer import chunked
from tasks.base import DEV, Task
from tasks.row_results import CONFIDENCE, RESAMPLINGS, RowResults, agreement, interval, resampled

log = logging.getLogger(__name__)

FILE = "comparison.json"
TIMED_ROWS = 50
BATCH_SIZE = 64


def check(flags: SimpleNamespace) -> None:
    """Checks what a comparison needs.

    Raises:
      FlagError: the student is not evaluated, or there is no run of a teacher.
    """
    if not flags.do_eval:
        raise FlagError("--compare_teacher needs --do_eval; add it")
    if not flags.teacher or (Path(flags.teacher) / "saved_model.pb").is_file():
        raise FlagError("--compare_teacher measures the size and time of a run; give that of the teacher as --teacher")


def compare(
    script: TaskMaker, flags: SimpleNamespace, task: Task, files: ModelFiles, directory: RunDirectory
) -> dict[str, Any]:
    """Scores, sizes, times and agreement of both on the dev rows: logged, and written to `comparison.json`.

    Args:
      script, flags, task, files, directory: of the student, which is trained.

    Raises:
      BertError: the teacher cannot be used, or the task gives no scores row by row.
    """
    teacher = RunTeacher(script, flags, task)
    teacher.check_order()
    student = Side(task, SimpleNamespace(**{**vars(flags), "predict_batch_size": BATCH_SIZE}), files, directory)
    sides = {"teacher": teacher.side, "student": student}
    examples = list(task.examples(DEV))  # once: a data set that shuffles would give each side another order
    results = {name: _results(side, examples) for name, side in sides.items()}
    scores = resampled(list(results.values()))
    times = _milliseconds(list(sides.values()), examples[:TIMED_ROWS])
    found: dict[str, Any] = {"metric": results["student"].metric, "rows": len(results["student"].columns)}
    for place, (name, side) in enumerate(sides.items()):
        found[name] = {
            "score": results[name].score(),
            "interval": interval(scores[place]),
            "parameters": _parameters(side),
            "milliseconds_a_row": times[place],
        }
    found["difference"] = {
        "score": found["student"]["score"] - found["teacher"]["score"],
        "interval": interval(scores[1] - scores[0]),
    }
    found["agreement"] = agreement(results["teacher"].answers, results["student"].answers)
    found |= {"confidence": CONFIDENCE, "resamplings": RESAMPLINGS, "timed_rows": TIMED_ROWS}
    write_atomically(directory.path / FILE, json.dumps(found, indent=2) + "\n")
    for line in lines(found):
        log.info("%s", line)
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """A table of what `compare` has found."""
    made = [f"{'':10}{found['metric']:>16}{'95% interval':>20}{'parameters':>14}{'ms a row':>10}"]
    for name in ("teacher", "student"):
        one = found[name]
        within = "{:.4f} to {:.4f}".format(*one["interval"])
        made.append(
            f"{name:10}{one['score']:>16.4f}{within:>20}{one['parameters']:>14,}{one['milliseconds_a_row']:>10.2f}"
        )
    difference = found["difference"]
    within = "{:+.4f} to {:+.4f}".format(*difference["interval"])
    made.append(f"{'difference':10}{difference['score']:>+16.4f}{within:>20}")
    made.append(f"agreement on {found['rows']} dev rows: {found['agreement']:.4f}; times are of one row at a time")
    return made


def _results(side: Side, examples: Iterable[Any]) -> RowResults:
    return side.task.row_results(side.experiment().stream(side.task.featurizer, chunked(examples, CHUNK_EXAMPLES)))


def _milliseconds(sides: Sequence[Side], examples: Sequence[Any]) -> list[float]:
    """Median time of each for one window."""
    from estimator.latency import Timed, seconds_a_row

    timed = []
    for side in sides:
        windows = [made[0] for made in side.task.featurizer.featurize(examples) if made]
        model = side.experiment().settings.model
        timed.append(Timed(model, side.task.head(is_training=False), windows, side.flags.precision))
    return [1000 * seconds for seconds in seconds_a_row(timed)]


def _parameters(side: Side) -> int:
    """Values in the checkpoint that the run answers with, those of the optimizer left out."""
    from modeling.checkpoints.restore import checkpoint_variables
    from modeling.checkpoints.variable_names import GLOBAL_STEP, is_bookkeeping

    shapes = checkpoint_variables(side.checkpoint())
    names = [name for name in shapes if name != GLOBAL_STEP and not is_bookkeeping(name, shapes)]
    return sum(int(np.prod(shapes[name])) for name in names)
