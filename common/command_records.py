"""What `run.json` keeps of each command, so that a run can be repeated: flags, inputs, machine, results."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from common.files import file_digest

KEY = "commands"
"""Where `run.json` lists them, in the order in which they were first given."""

METRICS_FILE = "metrics.jsonl"

_KEPT = 100
"""Commands that are kept; of older ones those that trained alone."""

_PACKAGES = (
    "tensorflow", "tensorflow-text", "tf-models-official", "tokenizers", "sentencepiece", "numpy", "pandas",
)  # fmt: skip
_ROOT = Path(__file__).resolve().parent.parent
_OWN = (
    "command_line", "common", "estimator", "export", "modeling", "processors", "serving", "tasks", "tokenization",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what computes, by name; `program` is a digest of this project's own code."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return {**found, "program": _program_digest()}


def machine() -> dict[str, Any]:
    """The processor and its threads, as far as the system tells."""
    return {"processor": _processor(), "threads": os.cpu_count()}


def digests(paths: Iterable[Path], leave_out: Path) -> dict[str, str]:
    """Digests of files by their absolute names.

    Args:
      paths: files; those that are not there are left out.
      leave_out: a folder whose files are the run's own.
    """
    own = leave_out.absolute()
    named = {path.absolute() for path in paths}
    return {str(path): file_digest(path) for path in sorted(named) if path.is_file() and not path.is_relative_to(own)}


def check(commands: object) -> None:
    """Checks what a list of commands is made of.

    Raises:
      ValueError: it is no such list; the message completes "the file ...".
    """
    if not isinstance(commands, list) or not all(isinstance(one, dict) for one in commands):
        raise ValueError(f"has no list of objects under {KEY}")
    kinds = {"flags": dict, "sessions": int, "seconds": int | float}
    for number, one in enumerate(commands):
        for name, kind in kinds.items():
            if name in one and not isinstance(one[name], kind):
                raise ValueError(f"has something else than expected under {KEY}[{number}].{name}")


def begun(commands: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The list with a command that begins: one that was given before goes on in its place.

    Args:
      commands: those of the run so far.
      record: `program` and `given`, which say whether two commands are the same, and all else that is known then.
    """
    listed = [dict(one) for one in commands]
    place = next((number for number, one in enumerate(listed) if _is_same(one, record)), len(listed))
    earlier: dict[str, Any] = {"started": _now(), "sessions": 0, "seconds": 0.0}
    if place < len(listed):
        earlier |= listed[place]
    made = {**earlier, **record, "sessions": int(earlier["sessions"]) + 1}
    made.pop("ended", None)
    listed[place : place + 1] = [made]
    older = listed[:-_KEPT]
    return [one for one in older if one.get("flags", {}).get("do_train")] + listed[-_KEPT:]


def ended(
    commands: Sequence[Mapping[str, Any]], record: Mapping[str, Any], seconds: float, results: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The list with the end of a command.

    Args:
      commands: those of the run.
      record: as for `begun`.
      seconds: that this session of it took.
      results: what it found, by name.
    """
    listed = [dict(one) for one in commands]
    for one in listed:
        if _is_same(one, record):
            one |= {"ended": _now(), "seconds": round(one.get("seconds", 0.0) + seconds, 1), **results}
    return listed


def last_training(folder: Path) -> dict[str, Any] | None:
    """Step and loss of the last line about training in `metrics.jsonl`; None where there is none."""
    path = folder / METRICS_FILE
    if not path.is_file():
        return None
    found = None
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"train"' not in line:
                continue
            try:
                event = json.loads(line)
            except ValueError:  # cut by a crash
                continue
            if event.get("event") == "train":
                found = {name: event[name] for name in ("step", "loss") if name in event}
    return found


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("program", "given"))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _program_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for package in _OWN for path in (_ROOT / package).rglob("*.py")):
        digest.update(f"{path.relative_to(_ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
