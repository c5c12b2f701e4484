"""From the launch of run_classifier.py to its help, to a flag error, and to the end of its first training step."""

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import commands
from benchmarks.ours import script
from benchmarks.protocol import TRAIN_BATCH_SIZE, Result, Rounds, Settings


def load(settings: Settings) -> Rounds:
    """Nothing is loaded: that is what is measured."""
    kinds = {"--help": _help, "a flag error": _flag_error, "first training step": _first_step}
    return {case: functools.partial(_round, kind, settings) for case, kind in kinds.items()}


def _round(kind: Callable[[Settings, Path], float], settings: Settings) -> Result:
    with tempfile.TemporaryDirectory(dir=settings.work) as folder:
        return Result({"s": kind(settings, Path(folder))})


def _help(settings: Settings, folder: Path) -> float:
    del settings
    return commands.python(["run_classifier.py", "--help"], folder).seconds


def _flag_error(settings: Settings, folder: Path) -> float:
    del settings
    return commands.python(["run_classifier.py", "--no_such_flag=1"], folder, expected=2).seconds


def _first_step(settings: Settings, folder: Path) -> float:
    """The whole of MRPC is converted first, as it is in any run."""
    epochs = 1.5 * TRAIN_BATCH_SIZE / _training_rows(settings)
    ran = script.train(settings, folder / "run", TRAIN_BATCH_SIZE, f"--num_train_epochs={epochs}")
    lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    first = next(line for line in map(json.loads, lines) if line["event"] == "train")
    return first["time"] - ran.started


def _training_rows(settings: Settings) -> int:
    path = Path(settings.data_dir) / "MRPC" / "train.tsv"
    return len(path.read_text(encoding="utf-8").splitlines()) - 1
