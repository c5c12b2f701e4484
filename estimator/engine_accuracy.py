"""How right the answers of another engine are, on the records that an evaluation reads."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from common.errors import ExportError
from estimator.hooks.collector import Collector
from export.signatures import Predict
from modeling.build import ENCODER_INPUTS
from tasks.base import Task

v1 = tf.compat.v1


def accuracy_of(task: Task, input_fn: Callable[[], tf.data.Dataset], predict: Predict) -> tuple[str, float]:
    """The score that `Task.accuracy` names, over all records.

    Args:
      task: scores them.
      input_fn: gives batches.
      predict: computes the predictions of the task's head.

    Raises:
      ExportError: the task has no such score.
    """
    collector = Collector(task.padding)
    row_constants = task.head(is_training=False).row_constants
    for batch in _batches(input_fn):
        gold = {name: values for name, values in batch.items() if name not in ENCODER_INPUTS}
        kept = gold | predict(batch)
        collector.keep(kept, {name: kept.pop(name)[:1] for name in row_constants})
    found = task.accuracy(collector.arrays()) if task.collects_rows else None
    if found is None:
        raise ExportError(
            f"--quantize: task {task.name} has no score of the dev split to compare int8 with float32 by; leave it out"
        )
    return found


def _batches(input_fn: Callable[[], tf.data.Dataset]) -> Iterator[dict[str, np.ndarray]]:
    with tf.Graph().as_default(), v1.Session() as session:
        iterator = v1.data.make_initializable_iterator(input_fn())
        following: Any = iterator.get_next()
        session.run(iterator.initializer)
        while True:
            try:
                batch: dict[str, np.ndarray] = session.run(following)
            except tf.errors.OutOfRangeError:
                return
            yield batch
