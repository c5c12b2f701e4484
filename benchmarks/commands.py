"""Whole commands: how long they take, and how much memory."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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


def python(
    arguments: Sequence[str],
    folder: Path,
    expected: int = 0,
    environment: Mapping[str, str] | None = None,
    given: str = "",
) -> Ran:
    """Runs Python, that of this process, in the project's root.

    Args:
      arguments: of Python: a script or `-m`, and what follows.
      folder: for the output.
      expected: the exit code.
      environment: variables besides those of this process.
      given: standard input.

    Raises:
      WorkerError: it ended with another.
    """
    printed, log = folder / "command.out", folder / "command.log"
    asked = folder / "command.in"
    asked.write_text(given, encoding="utf-8")
    with printed.open("wb") as output, log.open("wb") as error, asked.open("rb") as stream:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdin=stream,
            stdout=output,
            stderr=error,
            env={**os.environ, **(environment or {})},
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
