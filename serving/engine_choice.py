"""Which engine answers from an export: measured once, where the export is made, and recorded beside it."""

import json
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import ExportError
from common.files import atomic_writer
from serving.engines import ENGINE_FILE, ONNX, TENSORFLOW, load
from serving.predictor import Predictor, Row

log = logging.getLogger(__name__)

ROUNDS = 9
ROWS = (1, 16)
"""Rows that are answered together: a person's, and a batch."""
WORDS = "the plot is thin but the leads are warm and funny and the end is worth the wait"


def choose_engine(export_dir: Path) -> str:
    """Measures the engines on an export in turn, and records the faster one, with what was measured.

    The product of the ratios for one row and for a batch decides. Where one engine cannot answer this export, the other
    one is recorded.

    Args:
      export_dir: has `model.onnx`.

    Returns:
      `"onnx"` or `"tensorflow"`.
    """
    try:
        seconds = _measured(export_dir)
    except ExportError as error:
        log.info("answers come from TensorFlow: %s", error)
        return _record(export_dir, TENSORFLOW, {})
    ratio = 1.0
    for count in ROWS:
        ratio *= seconds[ONNX][count] / seconds[TENSORFLOW][count]
    engine = ONNX if ratio < 1 else TENSORFLOW
    shown = {
        name: {f"{count} rows": round(1000 * value, 3) for count, value in by_count.items()}
        for name, by_count in seconds.items()
    }
    log.info("answers come from %s; milliseconds: %s", engine, json.dumps(shown))
    return _record(export_dir, engine, shown)


def _measured(export_dir: Path) -> dict[str, dict[int, float]]:
    with (
        Predictor(export_dir, load(export_dir, TENSORFLOW)) as first,
        Predictor(export_dir, load(export_dir, ONNX)) as second,
    ):
        row = {name: [WORDS, WORDS] if name in first.list_names else WORDS for name in first.required_names}
        rows = [row] * max(ROWS)
        found: dict[str, dict[int, float]] = {TENSORFLOW: {}, ONNX: {}}
        for count in ROWS:
            calls = {name: _answering(one, rows[:count]) for name, one in ((TENSORFLOW, first), (ONNX, second))}
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(ROUNDS + 2):
                for name, call in calls.items():
                    begin = time.perf_counter()
                    call()
                    times[name].append(time.perf_counter() - begin)
            for name, values in times.items():
                found[name][count] = statistics.median(values[2:])
    return found


def _answering(predictor: Predictor, rows: Sequence[Row]) -> Callable[[], object]:
    return lambda: predictor.answer(rows)


def _record(export_dir: Path, engine: str, milliseconds: dict[str, dict[str, float]]) -> str:
    with atomic_writer(export_dir / ENGINE_FILE) as handle:
        handle.write(json.dumps({"engine": engine, "milliseconds": milliseconds}, indent=2) + "\n")
    return engine
