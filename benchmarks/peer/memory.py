"""Peak resident memory of a training loop, on our side's batches in their order."""

import dataclasses
import functools
import re
import sys
from pathlib import Path

from benchmarks.protocol import Result, Rounds, Settings
from benchmarks.worker import Worker

LOOP = "benchmarks.peer.memory_loop"


def load(settings: Settings) -> Rounds:
    """Nothing is loaded: each round is a process of its own."""
    files = sorted(settings.folder.glob("batch *.json"))
    return {path.stem: functools.partial(_round, settings, path) for path in files}


def _round(settings: Settings, path: Path) -> Result:
    parts = re.search(r"in (\d+) parts", path.stem)
    options = {"batches": str(path), "parts": int(parts[1]) if parts else 1}
    worker = Worker(Path(sys.executable), LOOP, dataclasses.replace(settings, options=options))
    worker.ready()
    worker.run("training")
    return Result({"MiB": worker.close()})
