"""Peak resident memory of run_classifier.py while it trains."""

import functools
import shutil

from benchmarks.ours import classifier, script
from benchmarks.protocol import Result, Rounds, Settings
from tasks.base import TRAIN

PARTS = {"batch 32": (32, 1), "batch 256 in 8 parts": (256, 8)}
"""Rows of an update, and parts that it is computed in, by case."""


def load(settings: Settings) -> Rounds:
    """The rows of each case are left for the peer, in the order of training, as batches of what is computed at once."""
    steps = settings.effort.memory_steps
    for case, (batch_size, parts) in PARTS.items():
        task = classifier.task(settings, limits={TRAIN: steps * batch_size})
        input_fn = classifier.input_fn(settings, task, TRAIN, batch_size // parts, is_training=True)
        batches = classifier.first_batches(input_fn, steps * parts)
        classifier.write_batches(settings.folder / f"{case}.json", batches)
    return {case: functools.partial(_round, settings, *sizes) for case, sizes in PARTS.items()}


def _round(settings: Settings, batch_size: int, parts: int) -> Result:
    output_dir = settings.folder / "run"
    shutil.rmtree(output_dir, ignore_errors=True)
    steps = settings.effort.memory_steps
    rows = script.first_rows(batch_size, steps)
    ran = script.train(settings, output_dir, batch_size, *rows, f"--gradient_accumulation_steps={parts}")
    return Result({"MiB": ran.peak_mib})
