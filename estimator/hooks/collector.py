"""The outputs of an evaluation, kept on the host."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from processors.records.length_order import ROW_INDEX

PER_EXAMPLE_LOSS = "per_example_loss"

SessionRunHook: Any = tf.compat.v1.train.SessionRunHook
SessionRunArgs = tf.compat.v1.train.SessionRunArgs


class Collector(SessionRunHook):
    """Keeps the tensors of every evaluated batch on the host, for metrics that no running average can give.

    Args:
      padding: by name of a tensor, what fills up rows that are shorter than those of another batch; zero by default.
    """

    def __init__(self, padding: Mapping[str, float] | None = None) -> None:
        self._padding = dict(padding or {})
        self._tensors: dict[str, tf.Tensor] = {}
        self._constants: dict[str, tf.Tensor] = {}
        self._batches: list[dict[str, np.ndarray]] = []
        self._kept: dict[str, np.ndarray] = {}

    def watch(self, tensors: dict[str, tf.Tensor], row_constants: Collection[str] = ()) -> None:
        """Sets the tensors [B, ...] to keep; called while the graph is built.

        Args:
          tensors: by name.
          row_constants: names of those that are the same for every row, of which one row is kept.
        """
        self._tensors = {name: tensor for name, tensor in tensors.items() if name not in row_constants}
        self._constants = {name: tensors[name][:1] for name in row_constants}
        self.clear()

    def begin(self) -> None:
        """Another evaluation of the graph."""
        self.clear()

    def clear(self) -> None:
        """Forgets the rows that were kept."""
        self._batches, self._kept = [], {}

    def before_run(self, run_context: Any) -> Any:
        """Fetches the tensors along with the metric updates."""
        del run_context
        return SessionRunArgs((self._tensors, {} if self._kept else self._constants))

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Keeps one batch."""
        del run_context
        self.keep(*run_values.results)

    def keep(self, batch: dict[str, np.ndarray], constants: dict[str, np.ndarray]) -> None:
        """Keeps a batch that was computed elsewhere.

        Args:
          batch: arrays [B, ...] by name, `is_real_example` among them.
          constants: a row of those that are the same for every row.
        """
        self._batches.append(batch)
        self._kept = self._kept or constants

    def arrays(self) -> dict[str, np.ndarray]:
        """Every real row of the evaluation in the order of the records; rows that only fill a batch are left out.

        Of row constants there is one row.
        """
        real = self._column("is_real_example").astype(bool)
        own = ("is_real_example", ROW_INDEX, PER_EXAMPLE_LOSS)
        return {name: self._column(name)[real] for name in self._batches[0] if name not in own} | self._kept

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
        values = concatenated([batch[name] for batch in self._batches], self._padding.get(name, 0))
        if ROW_INDEX not in self._batches[0]:
            return values
        return values[np.argsort(np.concatenate([batch[ROW_INDEX] for batch in self._batches]))]


def concatenated(batches: Sequence[np.ndarray], padding: float = 0) -> np.ndarray:
    """Rows of all batches, of any rank; where batches differ in a length, filled up to the longest.

    Args:
      batches: `[B, ...]`, all of one rank and type.
      padding: what to fill up with.
    """
    shape = np.max([batch.shape[1:] for batch in batches], axis=0)
    filled = [
        np.pad(batch, [(0, 0), *((0, int(size - own)) for size, own in zip(shape, batch.shape[1:], strict=True))],
               constant_values=padding)
        for batch in batches
    ]  # fmt: skip
    return np.concatenate(filled)
