"""A head around another head."""

from collections.abc import Collection, Mapping

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.heads.base import Encode, Features, Head, Metrics


class WrappedHead(Head):
    """Another head under a name of its own: all that a derived class does not say is that head's.

    Args:
      head: the other.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self.uses_sequence_output = head.uses_sequence_output
        self.further_inputs = head.further_inputs
        self.replaceable = head.replaceable
        self.label_axes = head.label_axes
        self.hugging_face_class = head.hugging_face_class
        self.parameter_groups = head.parameter_groups
        self.row_constants = head.row_constants

    def read(self, encode: Encode, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of the head."""
        return self._head.read(encode, features, is_training)

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of the head."""
        return self._head.logits(encoder, features, is_training)

    def starts(self, names: Collection[str]) -> Mapping[str, str]:
        """Those of the head."""
        return self._head.starts(names)

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """That of the head."""
        return self._head.loss(logits, features)

    def loss_parts(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """Those of the head."""
        return self._head.loss_parts(logits, features)

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """Those of the head."""
        return self._head.loss_weights(features)

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """Those of the head."""
        return self._head.soft_losses(logits, features, temperature)

    def soft_weights(self, features: Features) -> tf.Tensor:
        """Those of the head."""
        return self._head.soft_weights(features)

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """Those of the head."""
        return self._head.predictions(logits, features)

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """Those of the head."""
        return self._head.metrics(logits, features, per_example_loss)
