"""From the launch of a training script to the end of its first step."""

import functools
import tempfile
from pathlib import Path

from benchmarks import commands
from benchmarks.protocol import Result, Rounds, Settings


def load(settings: Settings) -> Rounds:
    """Nothing is loaded: that is what is measured."""
    return {"first training step": functools.partial(_round, settings)}


def _round(settings: Settings) -> Result:
    with tempfile.TemporaryDirectory(dir=settings.work) as folder:
        table = Path(settings.data_dir) / "MRPC" / "train.tsv"
        script = ["-m", "benchmarks.peer.train_script", settings.weights, str(table), folder]
        ran = commands.python(script, Path(folder))
    ended = next(line for line in ran.output.splitlines() if line.replace(".", "").isdigit())
    return Result({"s": float(ended) - ran.started})
