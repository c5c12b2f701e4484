"""Vectors read off the encoder: of every token, or one for the whole row."""

from collections.abc import Sequence
from typing import final

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Reader
from modeling.heads.pooling_names import POOLINGS

SMALLEST_NORM = 1e-12


@final
class VectorReader(Reader):
    """The layers of every token, or one vector a row.

    Args:
      pooling: one of `POOLINGS`. `cls` takes the first token, `pooled` the pooler's output, `mean` and `max` are over
        tokens, `mean_max` is both side by side; several layers stand side by side as well. `first_last_mean` averages
        the first and the last of the layers, then tokens.
      layers: indexes into the encoder's layers, as in Python; `pooled` reads none.
      special_ids: tokens that `mean` and `max` leave out; default none.
      normalize: scale the vector of a row to length 1.

    Source: arXiv:1908.10084, section 3 (cls, mean, max); bert-as-service (mean_max, layers side by side).
    """

    def __init__(
        self, pooling: str, layers: Sequence[int] = (-1,), special_ids: Sequence[int] = (), normalize: bool = False
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"pooling {pooling!r}: expected one of {', '.join(POOLINGS)}")
        self.pooling = pooling
        self.layers = tuple(layers)
        self.special_ids = tuple(special_ids)
        self.normalize = normalize
        self.uses_sequence_output = pooling != "pooled"

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Vectors float32: `[B, S, L, H]` for L layers without pooling, else `[B, D]`."""
        del is_training
        if self.pooling == "pooled":
            return self._scaled(encoder.get_pooled_output())
        layers = [encoder.get_all_encoder_layers()[index] for index in self.layers]
        if self.pooling == "none":
            return tf.stack(layers, axis=2)
        is_mean = self.pooling == "first_last_mean"
        pieces = (layers[0] + layers[-1]) / 2.0 if is_mean else tf.concat(layers, axis=-1)
        return self._scaled(self._pooled(pieces, features))

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`vectors`, as `logits` gives them."""
        del features
        return {"vectors": logits}

    def _pooled(self, pieces: tf.Tensor, features: Features) -> tf.Tensor:
        if self.pooling == "cls":
            return pieces[:, 0]
        counted = self._counted(features)
        found = []
        if self.pooling != "max":
            weights = tf.cast(counted, tf.float32)[:, :, tf.newaxis]  # [B, S, 1]
            found.append(tf.math.divide_no_nan(tf.reduce_sum(pieces * weights, 1), tf.reduce_sum(weights, 1)))
        if self.pooling in ("max", "mean_max"):
            lowest = tf.where(counted[:, :, tf.newaxis], pieces, tf.fill(tf.shape(pieces), pieces.dtype.min))
            some = tf.reduce_any(counted, axis=1, keepdims=True)
            found.append(tf.where(some, tf.reduce_max(lowest, axis=1), tf.zeros_like(pieces[:, 0])))
        return tf.concat(found, axis=-1)

    def _counted(self, features: Features) -> tf.Tensor:
        """Which tokens a mean or a maximum is over: bool `[B, S]`."""
        counted = features["input_mask"] > 0
        for index in self.special_ids:
            counted &= tf.not_equal(features["input_ids"], index)
        return counted

    def _scaled(self, vectors: tf.Tensor) -> tf.Tensor:
        if not self.normalize:
            return vectors
        return vectors / tf.maximum(tf.norm(vectors, axis=-1, keepdims=True), SMALLEST_NORM)
