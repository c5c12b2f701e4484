"""Requests to exports for ONNX Runtime, in float32 and in int8; the engine is the one that the export has recorded."""

import itertools
import json
from pathlib import Path

from benchmarks import commands
from benchmarks.latency import latency_rounds
from benchmarks.ours import classifier, script
from benchmarks.protocol import FLOAT32, INT8, ROWS_FILE, Rounds, Settings
from serving.predictor import Predictor
from tasks.base import TEST

REQUESTED = 1024
"""Rows of the test set that are asked for."""
ANYTHING = "--max_accuracy_loss=1"
"""Of a head that has learned nothing, accuracy says nothing."""


def load(settings: Settings) -> Rounds:
    """Trains a step and exports twice; the rows are left for the others."""
    run = settings.folder / "run"
    script.train(settings, run, 32, *script.first_rows(32, 1), "--do_export", "--export_onnx")
    again = ["run_classifier.py", "--task_name=mrpc", f"--output_dir={run}", "--do_export", "--export_onnx"]
    commands.python([*again, f"--quantize={INT8}", ANYTHING], settings.folder)
    exports = sorted((run / "export").iterdir(), key=lambda path: int(path.name))
    examples = classifier.task(settings).examples(TEST)
    rows = [{"text_a": one.text_a, "text_b": one.text_b or ""} for one in itertools.islice(examples, REQUESTED)]
    (settings.folder / ROWS_FILE).write_text(json.dumps(rows), encoding="utf-8")
    answers = {name: _predictor(path).answer for name, path in zip((FLOAT32, INT8), exports, strict=True)}
    return latency_rounds(answers, rows, settings.effort.calls)


def _predictor(export: Path) -> Predictor:
    return Predictor(export, "auto")
