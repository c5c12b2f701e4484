"""Prediction of the MRPC test set through the Estimator, answers written: a pass a round."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ours import classifier, stepping
from benchmarks.protocol import BATCHES_FILE, INFERENCE_BATCH_SIZES, Result, Rounds, Settings, seconds
from tasks.base import TEST
from tasks.classification.task import ClassificationTask


def load(settings: Settings) -> Rounds:
    """Predicts; the rows are left for the peer as batches of one."""
    task = classifier.task(settings, limits={TEST: settings.effort.inference_rows})
    rows = classifier.first_batches(classifier.input_fn(settings, task, TEST, 1, is_training=False), stepping.ENDLESS)
    classifier.write_batches(settings.folder / BATCHES_FILE, rows)
    examples = list(task.examples(TEST))
    found: Rounds = {}
    for batch_size in INFERENCE_BATCH_SIZES:
        input_fn = classifier.input_fn(settings, task, TEST, batch_size, is_training=False)
        folder = settings.folder / f"prediction-{batch_size}"
        batches = stepping.prediction(classifier.model(settings), task.head(False), input_fn, folder)
        work = functools.partial(_pass, task, examples, batches, folder)
        work()  # warm
        found[f"batch {batch_size}"] = functools.partial(_round, work, len(examples))
    return found


def _round(work: Callable[[], None], rows: int) -> Result:
    return Result({"examples/s": rows / seconds(work)})


def _pass(
    task: ClassificationTask, examples: Sequence[Any], batches: Callable[[], dict[str, Any]], folder: Path
) -> None:
    """Answers every example and writes the task's files."""
    done = 0
    with task.answers(folder) as sink:
        while done < len(examples):
            batch = batches()
            for index in range(len(next(iter(batch.values())))):
                sink(examples[done], [], [{name: values[index] for name, values in batch.items()}])
                done += 1
