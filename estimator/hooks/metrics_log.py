"""`metrics.jsonl`, and what TensorBoard shows."""

import contextlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

import tensorflow as tf

from common.files import without_pattern, writing


class MetricsLog:
    """`metrics.jsonl`: a JSON object a line for each report of training and each evaluation.

    Args:
      folder: of the run.
      is_written: whether this process writes it; else `write` and `draw` do nothing.
    """

    def __init__(self, folder: Path, is_written: bool = True) -> None:
        self._path = folder / "metrics.jsonl"
        self._is_written = is_written

    def write(self, event: str, values: dict[str, Any]) -> None:
        """Appends `{"event": event, "time": seconds since the epoch, **values}`; NaN and infinity, no JSON, as null.

        Raises:
          DataError: the disk is full or the file cannot be written to.
        """
        if not self._is_written:
            return
        finite = {name: _number(value) for name, value in values.items()}
        line = json.dumps({"event": event, "time": round(time.time(), 3), **finite}) + "\n"
        with writing(self._path), self._path.open("ab+") as stream:
            stream.write((b"" if _ends_a_line(stream) else b"\n") + line.encode())

    def draw(self, values: dict[str, Any], step: int) -> None:
        """Adds scalars to what TensorBoard shows of the folder."""
        if not self._is_written:
            return
        shown = [tf.compat.v1.Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        writer = tf.compat.v1.summary.FileWriterCache.get(without_pattern(self._path.parent))
        writer.add_summary(tf.compat.v1.Summary(value=shown), step)

    def read(self) -> list[dict[str, Any]]:
        """Every event so far, in order; a line that was cut off by a crash, or is no event, is left out."""
        if not self._path.is_file():
            return []
        found = map(_event, self._path.read_bytes().split(b"\n"))
        return [event for event in found if event is not None]


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _event(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("step", 0), int):
            return event
    return None


def _ends_a_line(stream: BinaryIO) -> bool:
    """Whether what is appended to a file begins a line of its own: a crash may have cut the last one off."""
    if stream.seek(0, os.SEEK_END) == 0:
        return True
    try:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) in (b"\n", b"")
    except OSError:  # a device, not a file
        return True
