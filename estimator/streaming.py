"""Examples answered as they come: no records on disk, memory flat, answers in the order of the examples."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from processors.records.featurizer import Featurizer, chunked
from processors.records.length_order import ROW_INDEX, in_order, longest_first
from processors.records.schema import Features, Field

_DTYPES = {"int64": tf.int32, "float32": tf.float32}


class AnsweredExample(NamedTuple):
    """An example, its windows as the featurizer made them, and the model's outputs for each."""

    example: Any
    windows: list[Features]
    outputs: list[dict[str, np.ndarray]]


class ExampleStream:
    """One pass over examples on their way through `Estimator.predict`.

    Args:
      featurizer: makes windows of examples.
      chunks: examples in lists; a list is answered before the next one is asked for in full, so a list of what has
        arrived is answered at once. A list of more windows than a batch makes batches of windows of similar length.
      batch_size: most windows a batch.
      fields: of the featurizer's spec, those that the model reads.
      static_shapes: pad every batch to the full length and size (TPU, XLA).
    """

    def __init__(
        self,
        featurizer: Featurizer,
        chunks: Iterable[Sequence[Any]],
        batch_size: int,
        fields: Sequence[Field],
        static_shapes: bool = False,
    ) -> None:
        self._featurizer = featurizer
        self._chunks = chunks
        self._batch_size = batch_size
        self._fields = tuple(fields)
        self._static_shapes = static_shapes
        # Filled by the thread that makes batches, emptied by the one that takes answers.
        self._waiting: collections.deque[tuple[Any, list[Features]]] = collections.deque()
        self._numbers: collections.deque[list[int]] = collections.deque()
        self._error: Exception | None = None

    def input_fn(self, params: dict[str, Any] | None = None) -> tf.data.Dataset:
        """An Estimator `input_fn`; good for one pass."""
        del params  # a TPUEstimator's batch size is the one that this stream was made with
        rows = self._batch_size if self._static_shapes else None
        signature = {
            field.name: tf.TensorSpec((rows, field.static if self._static_shapes else None), _DTYPES[field.dtype])
            for field in self._fields
        }
        return tf.data.Dataset.from_generator(self._batches, output_signature=signature).prefetch(1)

    def answers(self, outputs: Iterable[Mapping[str, np.ndarray]]) -> Iterator[AnsweredExample]:
        """Pairs batches of outputs with the examples that they answer.

        Raises:
          Exception: what reading or featurizing an example raised, once all examples before it are answered.
        """
        done: list[dict[str, np.ndarray]] = []
        for row in rows_in_order(self._numbered(outputs)):
            yield from self._without_windows()
            done.append(row)
            example, windows = self._waiting[0]
            if len(done) == len(windows):
                self._waiting.popleft()
                yield AnsweredExample(example, windows, done)
                done = []
        yield from self._without_windows()
        if self._error is not None:
            raise self._error

    def _numbered(self, outputs: Iterable[Mapping[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
        """Batches of outputs with the numbers of their windows, without those that only filled a batch."""
        for batch in outputs:
            numbers = np.array(self._numbers.popleft())
            yield {ROW_INDEX: numbers, **{name: values[: len(numbers)] for name, values in batch.items()}}

    def _without_windows(self) -> Iterator[AnsweredExample]:
        while self._waiting and not self._waiting[0][1]:
            yield AnsweredExample(*self._waiting.popleft(), [])

    def _batches(self) -> Iterator[dict[str, np.ndarray]]:
        """Runs inside TensorFlow, where an exception would lose its type: it is kept, and ends the stream."""
        count = 0
        try:
            for chunk in self._chunks:
                rows: list[Features] = []
                try:
                    for example, windows in zip(chunk, self._featurizer.featurize(chunk), strict=True):
                        self._waiting.append((example, windows))
                        rows.extend(windows)
                finally:
                    for indices in chunked(self._order(rows), self._batch_size):
                        self._numbers.append([count + index for index in indices])
                        yield self._batch([rows[index] for index in indices])
                    count += len(rows)
        except Exception as error:
            self._error = error

    def _order(self, rows: Sequence[Features]) -> Sequence[int]:
        if self._static_shapes or len(rows) <= self._batch_size:
            return range(len(rows))
        return longest_first([len(row["input_ids"]) for row in rows])

    def _batch(self, rows: Sequence[Features]) -> dict[str, np.ndarray]:
        return {field.name: self._padded(field, [row[field.name] for row in rows]) for field in self._fields}

    def _padded(self, field: Field, values: Sequence[Sequence[float]]) -> np.ndarray:
        width = int(field.static or 0) if self._static_shapes else max(len(row) for row in values)
        size = self._batch_size if self._static_shapes else len(values)
        batch = np.full((size, width), field.default, _DTYPES[field.dtype].as_numpy_dtype)
        for index, row in enumerate(values):
            batch[index, : len(row)] = row
        return batch


def answered(estimator: Any, stream: ExampleStream, checkpoint: str | None = None) -> Iterator[AnsweredExample]:
    """Runs a stream through a checkpoint; by default an estimator's latest, or its first weights."""
    yield from stream.answers(estimator.predict(stream.input_fn, None, None, checkpoint, False))


def rows_in_order(batches: Iterable[Mapping[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """Splits batches of outputs into rows, put back by their numbers where batches have them."""
    return in_order(_numbered_rows(batches))


def _numbered_rows(batches: Iterable[Mapping[str, np.ndarray]]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    count = 0
    for batch in batches:
        names = [name for name in batch if name != ROW_INDEX]
        size = len(batch[names[0]])
        numbers = batch.get(ROW_INDEX, np.arange(count, count + size))
        for index, number in enumerate(numbers.tolist()):
            yield number, {name: batch[name][index] for name in names}
        count += size
