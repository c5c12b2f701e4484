"""Reading comprehension: where in the input the answer starts and ends."""

from typing import final

import tensorflow as tf

from modeling.encoder.layers import create_initializer
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Head, Metrics, real_rows, weighted_mean
from modeling.heads.soft_losses import TEACHER_SCORES, softmax_divergence

PADDING_LOGIT = -10000.0
"""Score of a padding position: its probability is 0 beside any other."""


@final
class SpanHead(Head):
    """Two scores for each position, cross-entropies over the positions of a row.

    `start_positions` and `end_positions` are int32 `[B]`; 0, which is `[CLS]`, where the input holds no answer. The
    variables are `cls/squad/output_weights` `[2, H]` and `cls/squad/output_bias` `[2]`.

    Source: `run_squad.create_model` and `model_fn_builder` of google-research/bert.
    Differences: padding takes no part in the cross-entropies, so that the loss does not hang on the length of the
    batch; rows without padding have upstream's loss.
    """

    hugging_face_class = "ForQuestionAnswering"

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores `[B, S, 2]`, of a start and of an end."""
        del is_training  # the layer has no dropout
        hidden = encoder.get_sequence_output()  # [B, S, H]
        with tf.compat.v1.variable_scope("cls/squad"):
            weights = tf.compat.v1.get_variable(
                "output_weights", [2, hidden.shape[-1]], initializer=create_initializer(0.02)
            )
            bias = tf.compat.v1.get_variable("output_bias", [2], initializer=tf.compat.v1.zeros_initializer())
        scores = tf.nn.bias_add(tf.einsum("bsh,oh->bso", hidden, weights), bias)
        is_token = tf.not_equal(features["input_mask"], 0)[:, :, tf.newaxis]  # [B, S, 1]
        return tf.where(is_token, scores, tf.fill(tf.shape(scores), PADDING_LOGIT))

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean of the start's and the end's cross-entropy, and that of each row `[B]`."""
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=features[name], logits=logits[:, :, index])
            for index, name in enumerate(("start_positions", "end_positions"))
        ]
        per_example = (losses[0] + losses[1]) / 2.0
        return weighted_mean(per_example, real_rows(features, per_example)), per_example

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """Mean of the divergences of the distributions of a start and of an end over tokens."""
        is_token = tf.not_equal(features["input_mask"], 0)[:, :, tf.newaxis]
        taught = features[TEACHER_SCORES][:, : tf.shape(logits)[1]]
        taught = tf.where(is_token, taught, tf.fill(tf.shape(taught), PADDING_LOGIT * temperature))
        own = tf.where(is_token, logits, tf.fill(tf.shape(logits), PADDING_LOGIT * temperature))
        student, teacher = (tf.transpose(scores, [0, 2, 1]) for scores in (own, taught))  # [B, 2, S]
        return tf.reduce_mean(softmax_divergence(student, teacher, temperature), axis=1)

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`start_logits` and `end_logits` `[B, S]`, and `unique_ids` where the input has them."""
        found = {"start_logits": logits[:, :, 0], "end_logits": logits[:, :, 1]}
        return found | ({"unique_ids": features["unique_ids"]} if "unique_ids" in features else {})

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_loss`: the answers themselves are scored on the host."""
        del logits
        weights = real_rows(features, per_example_loss)
        return {"eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights)}
