"""Heads over the pooled output: one label, several labels, a score."""

from collections.abc import Sequence

import tensorflow as tf

from common.errors import FlagError
from modeling.encoder.layers import create_initializer, dropout
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Head, Metrics, real_rows, weighted_mean
from modeling.heads.soft_losses import TEACHER_SCORES, sigmoid_divergence, softmax_divergence

CLASSIFIER_VARIABLES = ("output_weights", "output_bias")
_LABEL_AXES = dict.fromkeys(CLASSIFIER_VARIABLES, (0,))


class _LabelHead(Head):
    """What the heads over C labels have in common; the arguments are described there."""

    uses_sequence_output = False
    replaceable = CLASSIFIER_VARIABLES
    label_axes = _LABEL_AXES

    def __init__(
        self,
        num_labels: int,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
    ) -> None:
        self.num_labels = num_labels
        self.class_weights = _checked_weights(class_weights, num_labels)
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores `[B, C]` before they become probabilities."""
        return pooled_logits(encoder.get_pooled_output(), self.num_labels, is_training, encoder.classifier_dropout)


class ClassificationHead(_LabelHead):
    """One label of several: softmax cross-entropy; `label_ids` int32 `[B]`.

    Args:
      num_labels: number of labels C.
      class_weights: weight of each label in the mean of the losses; all the same by default.
      label_smoothing: fraction of a row's target, 0 to 1, that is spread over all labels evenly.
      focal_gamma: a row's loss is multiplied by (1 - p)^gamma, p the probability of its label: 0, or at least 1.

    Raises:
      ValueError: not one weight for each label.

    Source: `run_classifier.create_model` of google-research/bert; label smoothing: arXiv:1512.00567; focal loss:
    arXiv:1708.02002.
    """

    hugging_face_class = "ForSequenceClassification"

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Weighted mean cross-entropy, and that of each row `[B]`."""
        check_outputs(self, logits, self.num_labels)
        labels = features["label_ids"]
        plain = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        losses = plain
        if self.label_smoothing:
            even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
            losses = (1.0 - self.label_smoothing) * plain + self.label_smoothing * even
        if self.focal_gamma:
            losses *= tf.pow(-tf.math.expm1(-plain), self.focal_gamma)  # plain is -log p
        return weighted_mean(losses, self._weights(features, losses)), losses

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """Sum of the real rows' class weights."""
        return {"loss": tf.reduce_sum(self._weights(features, tf.cast(features["label_ids"], tf.float32)))}

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """Divergence of the distributions over labels."""
        return softmax_divergence(logits, features[TEACHER_SCORES], temperature)

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`probabilities` and `logits`, each `[B, C]`."""
        check_outputs(self, logits, self.num_labels)
        return {"probabilities": tf.nn.softmax(logits), "logits": logits}

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_accuracy`, and `eval_loss` under the class weights."""
        predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        accuracy = tf.compat.v1.metrics.accuracy(
            features["label_ids"], predicted, weights=real_rows(features, per_example_loss)
        )
        weights = self._weights(features, per_example_loss)
        return {"eval_accuracy": accuracy, "eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights)}

    def _weights(self, features: Features, losses: tf.Tensor) -> tf.Tensor:
        weights = real_rows(features, losses)
        if self.class_weights is not None:
            weights *= tf.gather(tf.constant(self.class_weights, tf.float32), features["label_ids"])
        return weights


class RegressionHead(Head):
    """One number: squared error; `label_ids` float32 `[B]`."""

    hugging_face_class = "ForSequenceClassification"
    uses_sequence_output = False
    replaceable = CLASSIFIER_VARIABLES

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Predicted numbers `[B, 1]`."""
        return pooled_logits(encoder.get_pooled_output(), 1, is_training, encoder.classifier_dropout)

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean squared error, and the squared error of each row `[B]`."""
        check_outputs(self, logits, 1)
        losses = tf.square(logits[:, 0] - tf.cast(features["label_ids"], tf.float32))
        return weighted_mean(losses, real_rows(features, losses)), losses

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """Squared distance from the teacher's number, whatever the temperature."""
        del temperature
        return tf.square(logits[:, 0] - features[TEACHER_SCORES][:, 0])

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`score` `[B]`."""
        check_outputs(self, logits, 1)
        return {"score": logits[:, 0]}

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_loss`, the mean squared error."""
        weights = real_rows(features, per_example_loss)
        return {"eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights)}


class MultiLabelHead(_LabelHead):
    """Any of several labels: sigmoid cross-entropy, averaged over labels; `label_ids` float32 multi-hot `[B, C]`.

    Args:
      num_labels: number of labels C.
      class_weights: weight of each label in that average; all the same by default.
      label_smoothing: fraction of each target, 0 to 1, that is drawn to one half.
      focal_gamma: as for `ClassificationHead`, for each label.

    Raises:
      ValueError: not one weight for each label.
    """

    hugging_face_class = "ForSequenceClassification"
    threshold = 0.5

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean over rows of the weighted mean over labels, and the latter `[B]`."""
        check_outputs(self, logits, self.num_labels)
        labels = tf.cast(features["label_ids"], tf.float32)
        targets = labels + self.label_smoothing * (0.5 - labels) if self.label_smoothing else labels
        by_label = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)  # [B, C]
        if self.focal_gamma:
            by_label *= tf.pow(tf.abs(labels - tf.sigmoid(logits)), self.focal_gamma)
        weights = tf.constant(self.class_weights or (1.0,) * self.num_labels, tf.float32)
        losses = tf.reduce_sum(by_label * weights, axis=-1) / tf.reduce_sum(weights)
        return weighted_mean(losses, real_rows(features, losses)), losses

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """Mean over labels of the divergences of their probabilities."""
        return tf.reduce_mean(sigmoid_divergence(logits, features[TEACHER_SCORES], temperature), axis=-1)

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`probabilities`, each label's own, and `logits`, both `[B, C]`."""
        check_outputs(self, logits, self.num_labels)
        return {"probabilities": tf.sigmoid(logits), "logits": logits}

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_accuracy`, the fraction of rows with every label right at probability 0.5, and `eval_loss`."""
        predicted = tf.sigmoid(logits) > self.threshold
        right = tf.reduce_all(tf.equal(predicted, tf.cast(features["label_ids"], tf.float32) > 0.5), axis=-1)
        weights = real_rows(features, per_example_loss)
        return {
            "eval_accuracy": tf.compat.v1.metrics.mean(tf.cast(right, tf.float32), weights),
            "eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights),
        }


def pooled_logits(pooled_output: tf.Tensor, num_outputs: int, is_training: bool, dropout_prob: float) -> tf.Tensor:
    """A linear layer on the pooled output, with the variables `output_weights` and `output_bias`.

    Args:
      pooled_output: float32 `[B, H]`.
      num_outputs: number of scores.
      is_training: whether pooled values are dropped.
      dropout_prob: probability of dropping one.

    Returns:
      float32 `[B, num_outputs]`.
    """
    weights_name, bias_name = CLASSIFIER_VARIABLES
    weights = tf.compat.v1.get_variable(
        weights_name, [num_outputs, pooled_output.shape[-1]], initializer=create_initializer(0.02)
    )
    bias = tf.compat.v1.get_variable(bias_name, [num_outputs], initializer=tf.compat.v1.zeros_initializer())
    inputs = dropout(pooled_output, dropout_prob if is_training else 0.0)
    return tf.nn.bias_add(tf.matmul(inputs, weights, transpose_b=True), bias)


def check_outputs(head: Head, logits: tf.Tensor, num_outputs: int) -> None:
    """Compares what `logits` of a class derived from one of these gives with what the rest of the head reads.

    Args:
      head: for the message.
      logits: `[B, num_outputs]`, if they are right.
      num_outputs: number of labels, or 1 for a score.

    Raises:
      FlagError: they have another shape; a class too many would be trained and never be named.
    """
    if not logits.shape.is_compatible_with([None, num_outputs]):
        found = ", ".join("batch" if size is None else str(size) for size in logits.shape)
        raise FlagError(
            f"--head: {type(head).__name__}.logits gives the shape [{found}], expected [batch, {num_outputs}], a "
            "score for each output; correct the head"
        )


def _checked_weights(class_weights: Sequence[float] | None, num_labels: int) -> tuple[float, ...] | None:
    if class_weights is None:
        return None
    weights = tuple(float(weight) for weight in class_weights)
    if len(weights) != num_labels or not all(weight >= 0 for weight in weights) or not any(weights):
        raise ValueError(f"class_weights {list(weights)}: expected {num_labels} weights of at least 0, and not all 0")
    return weights
