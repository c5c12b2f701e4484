"""`metrics.jsonl`, and what TensorBoard shows."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from common.files import writing


class MetricsLog:
    """`metrics.jsonl`: a JSON object a line for each report of training and each evaluation."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"

    def write(self, event: str, values: dict[str, Any]) -> None:
        """Appends `{"event": event, "time": seconds since the epoch, **values}`; NaN, which is no JSON, as null.

        Raises:
          DataError: the disk is full or the file cannot be written to.
        """
        finite = {name: None if value != value else value for name, value in values.items()}
        line = json.dumps({"event": event, "time": round(time.time(), 3), **finite})
        with writing(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def draw(self, values: dict[str, Any], step: int) -> None:
        """Adds scalars to what TensorBoard shows of the folder."""
        shown = [tf.compat.v1.Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        writer = tf.compat.v1.summary.FileWriterCache.get(str(self._path.parent))
        writer.add_summary(tf.compat.v1.Summary(value=shown), step)

    def read(self) -> list[dict[str, Any]]:
        """Every event so far, in order; a line that was cut off by a crash is left out."""
        if not self._path.is_file():
            return []
        events = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return events
