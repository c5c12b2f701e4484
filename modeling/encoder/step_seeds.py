"""Random numbers of a training step by their place: run, step, replica, micro-batch, operation.

TensorFlow's own generators go on from what they drew before, and begin anew in each session: a run that was resumed
drops other values than one that never stopped. Numbers by place are the same in both.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf


class _Place:
    """Counts the operations that draw in one micro-batch of one replica."""

    def __init__(self, replica_seed: tf.Tensor, micro_batch: int | tf.Tensor) -> None:
        self.replica_seed = replica_seed
        self._key = _drawn([replica_seed, micro_batch])
        self._operations = 0

    def next_seed(self) -> tf.Tensor:
        self._operations += 1
        return tf.stack([self._key, self._operations])


_place: contextvars.ContextVar[_Place | None] = contextvars.ContextVar("place", default=None)


@contextlib.contextmanager
def seeds_by_place(seed: int | None) -> Iterator[None]:
    """Gives the operations that a block builds seeds by their place; None leaves the generators as they are.

    Args:
      seed: of the run. The block builds the graph of one replica; operations are counted in the order they are built.
    """
    if seed is None:
        yield
        return
    step = tf.cast(tf.convert_to_tensor(tf.compat.v1.train.get_or_create_global_step()), tf.int32)
    context = tf.distribute.get_replica_context()
    replica = 0 if context is None else context.replica_id_in_sync_group
    at_step = _drawn([_drawn([seed % 2**31, seed // 2**31 % 2**31]), step])
    token = _place.set(_Place(_drawn([at_step, replica]), 0))
    try:
        yield
    finally:
        _place.reset(token)


@contextlib.contextmanager
def micro_batch(index: int | tf.Tensor) -> Iterator[None]:
    """Tells seeds by place which micro-batch a block computes."""
    place = _place.get()
    if place is None:
        yield
        return
    token = _place.set(_Place(place.replica_seed, index))
    try:
        yield
    finally:
        _place.reset(token)


def next_seed() -> tf.Tensor | None:
    """Seed of the next operation, int32 `[2]`; None outside of `seeds_by_place`."""
    place = _place.get()
    return None if place is None else place.next_seed()


def next_seeds(count: int) -> tf.Tensor:
    """Seeds of the next operations, int32 `[count, 2]`; outside of `seeds_by_place`, others in every run."""
    seeds = [next_seed() for _ in range(count)]
    if seeds[0] is None:
        return tf.random.uniform([count, 2], tf.int32.min, tf.int32.max, tf.int32)
    return tf.stack(seeds)


def _drawn(seed: list[int | tf.Tensor]) -> tf.Tensor:
    """One int32 from two. Both halves count: neighbours give unrelated numbers."""
    halves = tf.stack([tf.cast(half, tf.int32) for half in seed])
    return tf.random.stateless_uniform([], halves, minval=None, maxval=None, dtype=tf.int32)
