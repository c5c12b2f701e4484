"""Sums over the replicas of a `tf.distribute` strategy, on one machine or several."""

import tensorflow as tf

from modeling.training.accumulation import Gradient


def count() -> int:
    """Replicas that compute a step together; 1 without a strategy."""
    replica = tf.distribute.get_replica_context()
    return replica.num_replicas_in_sync if replica else 1


def are_on_several_machines() -> bool:
    """Whether other processes compute some of the replicas."""
    replicas = count()  # without a strategy there are no devices to ask for
    return replicas > 1 and replicas > len(tf.distribute.get_strategy().extended.worker_devices)


def summed(tensors: list[Gradient]) -> list[Gradient]:
    """The sum of each tensor over all replicas, on each of them."""

    # Not the context's all_reduce: it looks for variables by their names, and fails on those of other replicas.
    def reduce(strategy: tf.distribute.Strategy, *values: Gradient) -> list[Gradient]:
        return strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.SUM, [(value, value) for value in values])

    return tf.distribute.get_replica_context().merge_call(reduce, args=tuple(tensors))


def mean(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The mean of each tensor over all replicas; the tensors themselves where there is one replica."""
    replicas = count()
    if replicas == 1:
        return tensors
    sums = summed(list(tensors.values()))
    return {name: total / replicas for name, total in zip(tensors, sums, strict=True)}
