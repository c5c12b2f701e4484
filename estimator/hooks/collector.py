"""The outputs of an evaluation, kept on the host."""

from typing import Any

import numpy as np
import tensorflow as tf

from processors.records.length_order import ROW_INDEX

PER_EXAMPLE_LOSS = "per_example_loss"

SessionRunHook: Any = tf.compat.v1.train.SessionRunHook
SessionRunArgs = tf.compat.v1.train.SessionRunArgs


class Collector(SessionRunHook):
    """Keeps the tensors of every evaluated batch on the host, for metrics that no running average can give."""

    def __init__(self) -> None:
        self._tensors: dict[str, tf.Tensor] = {}
        self._batches: list[dict[str, np.ndarray]] = []

    def watch(self, tensors: dict[str, tf.Tensor]) -> None:
        """Sets the tensors [B, ...] to keep; called while the graph is built."""
        self._tensors = tensors
        self._batches = []

    def before_run(self, run_context: Any) -> Any:
        """Fetches the tensors along with the metric updates."""
        del run_context
        return SessionRunArgs(self._tensors)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Keeps one batch."""
        del run_context
        self._batches.append(run_values.results)

    def arrays(self) -> dict[str, np.ndarray]:
        """Every real row of the evaluation in the order of the records; rows that only fill a batch are left out."""
        real = self._column("is_real_example").astype(bool)
        own = ("is_real_example", ROW_INDEX, PER_EXAMPLE_LOSS)
        return {name: self._column(name)[real] for name in self._tensors if name not in own}

    def mean_loss(self, batch_size: int) -> np.float32:
        """The mean over batches of each one's mean loss, as the Estimator reports it of batches in order.

        Where the last batch is not full it weighs as much as the others, so this depends on which rows share one.
        """
        weights = self._column("is_real_example").astype(np.float64)
        losses = self._column(PER_EXAMPLE_LOSS) * weights
        starts = np.arange(0, len(losses), batch_size)
        sums, counts = np.add.reduceat(losses, starts), np.add.reduceat(weights, starts)
        return np.float32(np.mean(sums / np.maximum(counts, 1)))

    def _column(self, name: str) -> np.ndarray:
        values = _concatenated([batch[name] for batch in self._batches])
        if ROW_INDEX not in self._tensors:
            return values
        return values[np.argsort(np.concatenate([batch[ROW_INDEX] for batch in self._batches]))]


def _concatenated(batches: list[np.ndarray]) -> np.ndarray:
    """Rows of all batches; where batches differ in the length of their rows, filled with zeros to the longest."""
    if batches[0].ndim == 2:
        width = max(batch.shape[1] for batch in batches)
        batches = [np.pad(batch, [(0, 0), (0, width - batch.shape[1])]) for batch in batches]
    return np.concatenate(batches)
