"""Whole commands: how long they take, and how much memory."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.worker import ROOT, WorkerError
from common.errors import one_line


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a command took, start-up included.

    Args:
      started: when it was launched, seconds since the epoch.
      seconds: until it ended.
      peak_mib: most resident memory it had.
      output: what it printed.
    """

    started: float
    seconds: float
    peak_mib: float
    output: str


def python(arguments: Sequence[str], folder: Path, expected: int = 0) -> Ran:
    """Runs Python, that of this process, in the project's root.

    Args:
      arguments: of Python: a script or `-m`, and what follows.
      folder: for the output.
      expected: the exit code.

    Raises:
      WorkerError: it ended with another.
    """
    printed, log = folder / "command.out", folder / "command.log"
    with printed.open("wb") as output, log.open("wb") as error:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=error
        )
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expected:
        last = one_line(_text(log).strip().rpartition("\n")[2])
        raise WorkerError(f"{' '.join(arguments)} ended with {process.returncode}, expected {expected}: {last}")
    return Ran(started, taken, usage.ru_maxrss / 1024, _text(printed))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
