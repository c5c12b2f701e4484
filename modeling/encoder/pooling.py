"""One vector of many: the mean and the maximum over the tokens of a row."""

import tensorflow as tf


def pooled_over_tokens(vectors: tf.Tensor, counted: tf.Tensor, pooling: str) -> tf.Tensor:
    """Mean or maximum over some tokens of each row, zeros where there are none.

    Args:
      vectors: float `[B, S, D]`.
      counted: bool `[B, S]`, true for tokens that count.
      pooling: `mean`, `max`, or `mean_max` for both side by side.

    Returns:
      float `[B, D]`, or `[B, 2 * D]`.
    """
    found = []
    if pooling != "max":
        weights = tf.cast(counted, tf.float32)[:, :, tf.newaxis]  # [B, S, 1]
        found.append(tf.math.divide_no_nan(tf.reduce_sum(vectors * weights, 1), tf.reduce_sum(weights, 1)))
    if pooling in ("max", "mean_max"):
        lowest = tf.where(counted[:, :, tf.newaxis], vectors, tf.fill(tf.shape(vectors), vectors.dtype.min))
        some = tf.reduce_any(counted, axis=1, keepdims=True)
        found.append(tf.where(some, tf.reduce_max(lowest, axis=1), tf.zeros_like(vectors[:, 0])))
    return tf.concat(found, axis=-1)
