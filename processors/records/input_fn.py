"""Records -> batches: the one `input_fn`, for training, evaluation and prediction alike."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from processors.records.length_order import ROW_INDEX, sorted_batches
from processors.records.schema import FeatureSpec

SHUFFLE_ALL_UP_TO = 1_000_000
"""Largest epoch that is shuffled as a whole by default; beyond it, within a buffer of this many records."""
FILES_AT_ONCE = 4
"""Files whose records are mixed in training; google-research/bert's number."""


class Vectors(Protocol):
    """Values of each row of a record set that stand beside it.

    Attributes:
      shapes: of a batch, by the key that they get in it; None for what differs.
    """

    shapes: dict[str, tuple[int | None, ...]]

    def read(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """The values of some rows, by their numbers from 0, as a batch."""


@dataclasses.dataclass(frozen=True)
class InputSettings:
    """How records become batches.

    Args:
      batch_size: rows a batch, over all replicas.
      is_training: shuffle every epoch as a whole and repeat without end; otherwise one pass in order.
      seed: of the shuffle; the same seed gives the same batches.
      skip_records: records of the (endless, shuffled) training stream that an earlier run has used.
      static_shapes: pad to the full length and fill the last batch with `is_real_example=0` rows (TPU, XLA).
      num_records: rows of the record set, which decide the shuffle buffer and the filling rows.
      shuffle_buffer: most records that are shuffled at once.
      vectors: further values of each row, which are in memory or on disk beside the records; None for none.
      sorts_by_length: put rows of similar length into a batch, in one pass without static shapes; each row then has
        its number in the record set under `length_order.ROW_INDEX`. Without `input_mask` nothing is sorted.
    """

    batch_size: int
    num_records: int
    is_training: bool = False
    seed: int | None = None
    skip_records: int = 0
    static_shapes: bool = False
    shuffle_buffer: int = SHUFFLE_ALL_UP_TO
    sorts_by_length: bool = False
    vectors: Vectors | None = None


def build_input_fn(
    files: Sequence[Path | str], spec: FeatureSpec, settings: InputSettings
) -> Callable[..., tf.data.Dataset]:
    """An Estimator `input_fn` over TFRecord files, in the order given.

    Returns:
      A function of `params` (a TPUEstimator puts `batch_size` there) that makes a dataset of dictionaries: sequences
      int32 [B, S], S being the longest real row of the batch, other fields [B] or [B, n]. Padded records written by
      google-research/bert come out as the same batches.
    """
    names = [str(path) for path in files]

    def input_fn(params: dict[str, Any] | None = None) -> tf.data.Dataset:
        batch_size = (params or {}).get("batch_size", settings.batch_size)
        if settings.vectors is not None:
            return _with_vectors(names, spec, settings, settings.vectors, batch_size)
        if settings.sorts_by_length and spec.token_fields():
            dataset = sorted_batches(tf.data.TFRecordDataset(names), spec, batch_size)
            dataset = dataset.map(lambda rows, index: {**parse_batch(rows, spec), ROW_INDEX: index}, 2)
            return dataset.prefetch(2)
        dataset = _mixed(names, settings.seed) if settings.is_training else tf.data.TFRecordDataset(names)
        if settings.is_training:
            dataset = _shuffled(dataset, settings)
        elif settings.static_shapes:
            missing = -settings.num_records % batch_size
            dataset = dataset.concatenate(tf.data.Dataset.from_tensors(spec.padding()).repeat(missing))
        drop_remainder = settings.is_training or settings.static_shapes
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
        dataset = dataset.map(lambda rows: parse_batch(rows, spec, settings.static_shapes), num_parallel_calls=2)
        return dataset.prefetch(2)

    return input_fn


def _with_vectors(
    names: Sequence[str], spec: FeatureSpec, settings: InputSettings, vectors: Vectors, batch_size: int
) -> tf.data.Dataset:
    """Batches as without them, in the same order, with the values that stand beside the records."""
    dataset = tf.data.TFRecordDataset(list(names))
    dataset = tf.data.Dataset.zip((dataset, tf.data.Dataset.range(settings.num_records)))
    if settings.is_training:
        dataset = _shuffled(dataset, settings)

    def read(numbers: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        found = vectors.read(numbers)
        return [found[name] for name in vectors.shapes]

    def parsed(rows: tf.Tensor, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(read, [numbers], [tf.float32] * len(vectors.shapes))
        beside = {
            name: tf.ensure_shape(value, shape)
            for (name, shape), value in zip(vectors.shapes.items(), values, strict=True)
        }
        return {**parse_batch(rows, spec), **beside}

    dataset = dataset.batch(batch_size, drop_remainder=settings.is_training)
    return dataset.map(parsed, num_parallel_calls=2).prefetch(2)


def first_lengths(files: Sequence[Path | str], spec: FeatureSpec, count: int) -> list[int]:
    """Real tokens of the first records, at most `count`; none where records do not say which tokens are real."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        rows = tf.data.TFRecordDataset([str(path) for path in files]).take(count).batch(count)
        batch = tf.compat.v1.data.make_one_shot_iterator(rows).get_next()
        parsed = tf.io.parse_example(batch, spec.parse_spec())
        if "input_mask" not in parsed:
            return []
        lengths: list[int] = session.run(tf.reduce_sum(parsed["input_mask"], axis=1)).tolist()
    return lengths


def places_of_batch(files: Sequence[Path | str], settings: InputSettings) -> list[tuple[str, int]]:
    """Where the rows of the first batch of a training stream are: file, and number of the record in it from 0.

    The stream is that of `build_input_fn` with the same settings, made again: nothing is carried along while a model
    trains.
    """
    names = [str(path) for path in files]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(settings.seed)
        places = _shuffled(_mixed(names, settings.seed, _places), settings)
        file, number = tf.compat.v1.data.make_one_shot_iterator(places.batch(settings.batch_size)).get_next()
        found = session.run([file, number])
    return [(name.decode(), int(index)) for name, index in zip(*found, strict=True)]


def _places(name: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(name).enumerate().map(lambda number, _: (name, number))


def _shuffled(dataset: tf.data.Dataset, settings: InputSettings) -> tf.data.Dataset:
    """The endless stream of an epoch's records, from where an earlier run has stopped."""
    buffer = min(max(settings.num_records, 1), settings.shuffle_buffer)
    dataset = dataset.shuffle(buffer, seed=settings.seed, reshuffle_each_iteration=True).repeat()
    return dataset.skip(settings.skip_records) if settings.skip_records else dataset


def _mixed(
    names: Sequence[str], seed: int | None, read: Callable[..., tf.data.Dataset] = tf.data.TFRecordDataset
) -> tf.data.Dataset:
    """Records of several files, which come in another order each epoch, a few of them at a time."""
    if len(names) == 1:
        return read(names[0])
    order = tf.data.Dataset.from_tensor_slices(list(names)).shuffle(len(names), seed, reshuffle_each_iteration=True)
    return order.interleave(read, cycle_length=min(FILES_AT_ONCE, len(names)))


def parse_batch(rows: tf.Tensor, spec: FeatureSpec, static_shapes: bool = False) -> dict[str, tf.Tensor]:
    """Parses serialized `tf.Example`s [B] into a batch.

    Integers become int32, as every TPU needs; one beyond its range becomes the largest or smallest, which is in no
    vocabulary, where a cast would make another id of it. Sequences are cut to the longest row that `input_mask` knows,
    or padded to their static length.
    """
    parsed = tf.io.parse_example(rows, spec.parse_spec())
    parsed = {name: tf.saturate_cast(v, tf.int32) if v.dtype == tf.int64 else v for name, v in parsed.items()}
    if static_shapes:
        for field in spec.fields:
            if field.is_sequence:
                parsed[field.name] = _pad_to(parsed[field.name], field.static or 0, field.default)
        return parsed
    return cut_to_longest(parsed, spec.token_fields())


def cut_to_longest(features: dict[str, tf.Tensor], token_fields: Sequence[str]) -> dict[str, tf.Tensor]:
    """Cuts fields `[B, S]` to the longest row that `input_mask` knows; without one, everything is as it was.

    Args:
      features: a batch.
      token_fields: names of the fields with a value for each token, see `FeatureSpec.token_fields`.
    """
    if "input_mask" not in features:
        return features
    longest = tf.reduce_max(tf.reduce_sum(features["input_mask"], axis=1))
    cut = {name: features[name][:, :longest] for name in token_fields if name in features}
    return {**features, **cut}


def _pad_to(values: tf.Tensor, length: int, default: Any) -> tf.Tensor:
    values = values[:, :length]
    padded = tf.pad(values, [[0, 0], [0, length - tf.shape(values)[1]]], constant_values=default)
    padded.set_shape([values.shape[0], length])
    return padded
