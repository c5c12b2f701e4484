"""A head that learns of a teacher's scores beside the labels."""

from typing import final

import tensorflow as tf

from modeling.heads.base import Features, Head, real_rows
from modeling.heads.soft_losses import TEACHER_SCORES
from modeling.heads.wrapped import WrappedHead

IS_LABELLED = "is_labelled"
"""Feature float32 `[B]`: 0.0 for a row that has no label, so that it learns of the teacher alone; else 1.0."""
LABELS, TEACHER = "label_loss", "teacher_loss"


@final
class DistilledHead(WrappedHead):
    """Another head, trained on `(1 - share) * loss against labels + share * loss against the teacher's scores`.

    A batch has the teacher's scores as `teacher_scores`, float32 `[B, C]` or `[B, n, C]`, see `Head.soft_losses`, and
    may have `is_labelled`. Each part is a mean of its own: over the labelled rows, and over all real rows.

    Args:
      head: of the task, with its loss settings for training.
      share: of the loss against the teacher's scores, 0 to 1.
      temperature: of `Head.soft_losses`.

    Source: arXiv:1503.02531.
    """

    def __init__(self, head: Head, share: float, temperature: float) -> None:
        super().__init__(head)
        self._share, self._temperature = share, temperature

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """The weighted sum of both losses, and that of each row `[B]`."""
        soft, _ = self._soft(logits, features)
        hard = self._head.loss(logits, self._labelled(features))[1]
        hard *= real_rows(self._labelled(features), hard)
        rows = (1.0 - self._share) * hard + self._share * soft
        return tf.add_n(list(self.loss_parts(logits, features).values())), rows

    def loss_parts(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`teacher_loss`, and `label_loss` or the parts that the head has, each with its share."""
        losses, weights = self._soft(logits, features)
        soft = tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))
        hard = self._head.loss_parts(logits, self._labelled(features))
        return {_named(name): (1.0 - self._share) * part for name, part in hard.items()} | {TEACHER: self._share * soft}

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """Those of the head over labelled rows, and for the teacher how many rows or places count."""
        hard = self._head.loss_weights(self._labelled(features))
        soft = self._head.soft_weights(features) * self._real(features)
        return {_named(name): weight for name, weight in hard.items()} | {TEACHER: tf.reduce_sum(soft)}

    def _soft(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss of each row against the teacher, and how much it counts, `[B]` each."""
        losses = self._head.soft_losses(logits, features, self._temperature)
        return losses, self._head.soft_weights(features) * self._real(features)

    @staticmethod
    def _real(features: Features) -> tf.Tensor:
        return real_rows(features, tf.cast(features[TEACHER_SCORES][:, 0], tf.float32))

    @staticmethod
    def _labelled(features: Features) -> Features:
        """The batch, where rows without a label fill it up."""
        if IS_LABELLED not in features:
            return features
        real = real_rows(features, features[IS_LABELLED]) * features[IS_LABELLED]
        return {**features, "is_real_example": tf.cast(real, tf.int32)}


def _named(part: str) -> str:
    return LABELS if part == "loss" else part
