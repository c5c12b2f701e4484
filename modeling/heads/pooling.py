"""Vectors read off the encoder: of every token, or one for the whole row."""

from collections.abc import Sequence
from typing import final

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.encoder.pooling import pooled_over_tokens
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
        is_average = self.pooling == "first_last_mean"
        pieces = (layers[0] + layers[-1]) / 2.0 if is_average else tf.concat(layers, axis=-1)
        return self._scaled(self._pooled(pieces, features))

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`vectors`, as `logits` gives them."""
        del features
        return {"vectors": logits}

    def _pooled(self, pieces: tf.Tensor, features: Features) -> tf.Tensor:
        is_average = self.pooling == "first_last_mean"
        if self.pooling == "cls":
            return pieces[:, 0]
        return pooled_over_tokens(pieces, self._counted(features), "mean" if is_average else self.pooling)

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
