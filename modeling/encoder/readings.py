"""An encoder as `Reading` has heads see it: a mix of its layers, other pooling, layers of the head's own."""

from typing import Any

import tensorflow as tf

from modeling.config import BertConfig
from modeling.encoder.layers import dense, dropout, get_activation
from modeling.encoder.model import BertModel
from modeling.encoder.pooling import pooled_over_tokens
from modeling.layer_lists import EMBEDDINGS
from modeling.reading import CLS, MIX_VARIABLES, POOLED, SOFTMAX, Reading

v1 = tf.compat.v1


class EncoderReadings:
    """Stands between an encoder and a head, with the outputs that the head asks for; the rest is the encoder's.

    Args:
      encoder: over a batch.
      reading: what to read of it.
      input_mask: int32 `[B, S]`, 1 for a real token.
      is_training: whether values are dropped before layers of the head.
    """

    def __init__(self, encoder: BertModel, reading: Reading, input_mask: tf.Tensor, is_training: bool) -> None:
        self._encoder, self._reading, self._input_mask = encoder, reading, input_mask
        self._dropout = encoder.classifier_dropout if is_training else 0.0
        self._scope = v1.get_variable_scope()  # a head may ask from within a scope of its own
        self._tokens = self._read() if reading.concat_layers or reading.mix else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def get_sequence_output(self) -> tf.Tensor:
        """Vectors of the tokens, float32 `[B, S, D]`."""
        return self._deepened(self._all_tokens(), "head/tokens")

    def get_pooled_output(self) -> tf.Tensor:
        """One vector a row, float32 `[B, D]`."""
        return self._deepened(self._pooled(), "head/pooled")

    def _all_tokens(self) -> tf.Tensor:
        return self._encoder.get_sequence_output() if self._tokens is None else self._tokens

    def _pooled(self) -> tf.Tensor:
        pooling = self._reading.pooling
        if pooling in (POOLED, CLS):
            first = self._encoder.first_token if self._tokens is None else self._tokens[:, 0]
            if pooling == CLS:
                return first
            return self._encoder.get_pooled_output() if self._tokens is None else self._encoder.pool(first)
        return pooled_over_tokens(self._all_tokens(), self._input_mask > 0, pooling)

    def _read(self) -> tf.Tensor:
        """Layers side by side, or mixed: `[B, S, D]`."""
        layers = self._encoder.get_all_encoder_layers()
        if self._reading.concat_layers:
            return tf.concat([layers[index] for index in self._reading.concat_layers], axis=-1)
        mixed = [
            self._encoder.get_embedding_output() if part == EMBEDDINGS else layers[int(part)]
            for part in self._reading.mixed
        ]
        weights = self._mix_weights(len(mixed))
        return tf.add_n([weights[index] * layer for index, layer in enumerate(mixed)])

    def _mix_weights(self, count: int) -> tf.Tensor:
        """What each layer is multiplied with, float32 `[K]`; equal shares at first."""
        weights_name, gamma_name = MIX_VARIABLES
        if self._reading.mix != SOFTMAX:
            return v1.get_variable(weights_name, [count], initializer=v1.constant_initializer(1.0 / count))
        weights = v1.get_variable(weights_name, [count], initializer=v1.zeros_initializer())
        gamma = v1.get_variable(gamma_name, [], initializer=v1.ones_initializer())
        return gamma * tf.nn.softmax(weights)

    def _deepened(self, inputs: tf.Tensor, name: str) -> tf.Tensor:
        with v1.variable_scope(self._scope, auxiliary_name_scope=False):
            return deepened(inputs, name, self._reading, self._encoder.config, self._dropout)


class CachedReadings:
    """Stands in the place of a frozen encoder whose outputs were computed before.

    Args:
      vectors: float32 `[B, D]` or `[B, S, D]`, what the head reads of the encoder.
      config: of the encoder.
      reading: gives the layers of the head's own.
      is_training: whether values are dropped before layers of the head.
    """

    def __init__(self, vectors: tf.Tensor, config: BertConfig, reading: Reading, is_training: bool) -> None:
        self._vectors, self._config, self._reading = vectors, config, reading
        self._dropout = config.classifier_dropout if is_training else 0.0

    @property
    def classifier_dropout(self) -> float:
        """Probability of dropping a value that a classifier reads while it is trained."""
        return self._config.classifier_dropout

    def get_sequence_output(self) -> tf.Tensor:
        """Vectors of the tokens, float32 `[B, S, D]`."""
        return deepened(self._vectors, "head/tokens", self._reading, self._config, self._dropout)

    def get_pooled_output(self) -> tf.Tensor:
        """One vector a row, float32 `[B, D]`."""
        return deepened(self._vectors, "head/pooled", self._reading, self._config, self._dropout)


def deepened(inputs: tf.Tensor, name: str, reading: Reading, config: BertConfig, dropout_prob: float) -> tf.Tensor:
    """Vectors through the layers of the head before its last one.

    Args:
      inputs: float32 `[..., D]`.
      name: scope of the variables.
      reading: number and width of the layers.
      config: gives the activation.
      dropout_prob: probability of dropping an input of each.

    Returns:
      float32 `[..., head_width]`, or the inputs where there is one layer.
    """
    if reading.head_layers == 1:
        return inputs
    rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
    activation, width = get_activation(config.hidden_act), reading.head_width
    for index in range(reading.head_layers - 1):
        rows = dense(dropout(rows, dropout_prob), width, f"{name}/layer_{index}", activation, config.initializer_range)
    outputs = tf.reshape(rows, tf.concat([tf.shape(inputs)[:-1], [width]], axis=0))
    outputs.set_shape([*inputs.shape[:-1], width])
    return outputs
