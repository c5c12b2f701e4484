"""Evaluation of the MRPC dev set through the Estimator, a pass a round."""

import functools
import math

from benchmarks.ours import classifier, stepping
from benchmarks.protocol import BATCHES_FILE, INFERENCE_BATCH_SIZES, WARM_STEPS, Result, Rounds, Settings
from tasks.base import DEV


def load(settings: Settings) -> Rounds:
    """Evaluates; the rows are left for the peer as batches of one."""
    task = classifier.task(settings, limits={DEV: settings.effort.inference_rows})
    rows = classifier.first_batches(classifier.input_fn(settings, task, DEV, 1, is_training=False), stepping.ENDLESS)
    classifier.write_batches(settings.folder / BATCHES_FILE, rows)
    found: Rounds = {}
    for batch_size in INFERENCE_BATCH_SIZES:
        input_fn = classifier.input_fn(settings, task, DEV, batch_size, is_training=False)
        folder = settings.folder / f"evaluation-{batch_size}"
        evaluation = stepping.evaluation(classifier.model(settings), task.head(False), input_fn, folder)
        batches = math.ceil(len(rows) / batch_size)
        # On to the start of a pass, where the warm steps have not ended.
        evaluation.seconds(-WARM_STEPS % batches or batches)
        found[f"batch {batch_size}"] = functools.partial(_round, evaluation, len(rows), batches)
    return found


def _round(evaluation: stepping.Stepping, rows: int, batches: int) -> Result:
    return Result({"examples/s": rows / evaluation.seconds(batches)})
