"""The head of custom_task.py: a linear layer on the pooled output, squared error."""

import tensorflow as tf

from modeling.encoder.layers import create_initializer, dropout
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Head, Metrics, real_rows, weighted_mean


class RatingsHead(Head):
    """One number for each of T targets; `label_ids` float32 `[B, T]`."""

    uses_sequence_output = False
    replaceable = ("ratings/kernel", "ratings/bias")

    def __init__(self, num_targets: int) -> None:
        self.num_targets = num_targets

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        pooled = dropout(encoder.get_pooled_output(), encoder.classifier_dropout if is_training else 0.0)  # [B, H]
        with tf.compat.v1.variable_scope("ratings"):
            kernel = tf.compat.v1.get_variable(
                "kernel", [pooled.shape[-1], self.num_targets], initializer=create_initializer(0.02)
            )
            bias = tf.compat.v1.get_variable(
                "bias", [self.num_targets], initializer=tf.compat.v1.constant_initializer(3.0)
            )
        return tf.matmul(pooled, kernel) + bias

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        losses = tf.reduce_mean(tf.square(logits - features["label_ids"]), axis=-1)
        return weighted_mean(losses, real_rows(features, losses)), losses

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        return {"ratings": logits}

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        weights = real_rows(features, per_example_loss)
        return {"eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights)}
