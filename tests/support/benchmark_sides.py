"""A worker that notes when it is loaded and asked."""

import fcntl
import subprocess
import sys

from benchmarks.protocol import Result, Rounds, Settings


def load(settings: Settings) -> Rounds:
    name = settings.options.get("name", "ours")
    if name == "dies":
        raise RuntimeError("out of paper")

    def note(word: str) -> None:
        with (settings.folder / "order.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{word}-{name}\n" if word == "load" else f"{name}-{word}\n")

    def one(case: str) -> Result:
        note(case)
        return Result({"examples/s": 1.0}, settings.options.get("digest", ""))

    note("load")
    if name == "sleeps":
        return {"a": lambda: _sleep(settings)}
    cases = ["a"] if name == "other" else ["a", "b"]
    return {case: lambda case=case: one(case) for case in cases}


def _sleep(settings: Settings) -> Result:
    """Launches a command that does not end by itself, and waits; as long as one of the two lives, a file is locked."""
    with (settings.folder / "held").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.run(command, pass_fds=[held.fileno()], check=True)
    return Result({})
