"""How far a student's scores are from a teacher's; see `modeling.heads.base.Head.soft_losses`."""

import tensorflow as tf

TEACHER_SCORES = "teacher_scores"
"""Feature: what the teacher says of a row, float32 `[B, C]`, or `[B, n, C]` of n places in it."""


def softmax_divergence(student: tf.Tensor, teacher: tf.Tensor, temperature: float) -> tf.Tensor:
    """Kullback-Leibler divergence of softmax(student / T) from softmax(teacher / T), times T squared.

    Args:
      student, teacher: scores of C classes, float `[..., C]`.
      temperature: T.

    Returns:
      float32 `[...]`, at least 0 but for rounding.

    Source: arXiv:1503.02531.
    """
    given = tf.nn.log_softmax(tf.cast(teacher, tf.float32) / temperature)
    found = tf.nn.log_softmax(tf.cast(student, tf.float32) / temperature)
    return tf.reduce_sum(tf.exp(given) * (given - found), axis=-1) * temperature**2


def sigmoid_divergence(student: tf.Tensor, teacher: tf.Tensor, temperature: float) -> tf.Tensor:
    """Divergence of each of C yes-or-no distributions, as `softmax_divergence`; float32 `[..., C]`."""
    given, found = tf.cast(teacher, tf.float32) / temperature, tf.cast(student, tf.float32) / temperature
    crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(given), logits=found)
    own = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(given), logits=given)
    return (crossed - own) * temperature**2
