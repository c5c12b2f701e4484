"""Adapters and low-rank deltas in the graph: what a layer of the encoder asks at the places where they can stand."""

import math
from collections.abc import Callable

import tensorflow as tf

from modeling.encoder.layers import Activation, create_initializer, dropout, gelu, gelu_erf
from modeling.encoder.precision import as_type, in_float32
from modeling.insertions import HOULSBY, PFEIFFER, TARGETS, Adapters, Insertions, Lora

v1 = tf.compat.v1
ADAPTER_SPREAD = 1e-3
"""Standard deviation of new adapters: a new model computes nearly what its base does."""

_ACTIVATIONS: dict[str, Activation] = {"gelu": gelu, "gelu_erf": gelu_erf, "relu": tf.nn.relu, "swish": tf.nn.silu}

Delta = Callable[[tf.Tensor, int], tf.Tensor]
Normalize = Callable[[tf.Tensor, bool], tf.Tensor]


class Inserted:
    """Answers a layer of the encoder, which knows nothing of what is inserted.

    Args:
      insertions: what is.
      is_training: whether inputs of deltas are dropped.
    """

    def __init__(self, insertions: Insertions = None, is_training: bool = False) -> None:
        self._adapters = insertions if isinstance(insertions, Adapters) else None
        self._lora = insertions if isinstance(insertions, Lora) else None
        self._dropout = self._lora.dropout if self._lora and is_training else 0.0

    @property
    def draws(self) -> int:
        """Random seeds that a layer needs for what is inserted."""
        return 1 if self._dropout else 0

    def delta(self, target: str, seed: tf.Tensor | None = None) -> Delta | None:
        """What is added to a linear layer of one of `TARGETS`, from its input; None for nothing.

        Args:
          target: its name there.
          seed: int32 `[2]`, of the layer's draws; by default every run draws others.
        """
        lora = self._lora
        if lora is None or target not in lora.targets:
            return None
        own_seed = None if seed is None else seed + tf.constant([0, list(TARGETS).index(target)])

        def product(rows: tf.Tensor, units: int) -> tf.Tensor:
            width = int(rows.shape[-1])
            bound = 1.0 / math.sqrt(width)  # what Kaiming's initializer with a = sqrt(5) comes to
            down = v1.get_variable(
                "lora_a", [width, lora.rank], initializer=v1.random_uniform_initializer(-bound, bound)
            )
            up = v1.get_variable("lora_b", [lora.rank, units], initializer=v1.zeros_initializer())
            inner = tf.matmul(dropout(rows, self._dropout, own_seed), as_type(down, rows.dtype))
            return tf.matmul(inner, as_type(up, rows.dtype)) * lora.scale

        return product

    def joined(self, outputs: tf.Tensor, inputs: tf.Tensor, normalize: Normalize, is_last: bool) -> tf.Tensor:
        """The end of a part of a layer: residual and normalization, with an adapter where one stands.

        Args:
          outputs: of the part, after dropout, `[N, H]`.
          inputs: of the part, `[N, H]`.
          normalize: the part's normalization; the second argument is whether it is there already.
          is_last: whether the part is the feed-forward one, and not attention.
        """
        adapters = self._adapters
        if adapters is not None and adapters.kind == HOULSBY:
            return normalize(outputs + self._bottleneck(outputs) + inputs, False)
        summed = outputs + inputs
        if adapters is not None and adapters.kind == PFEIFFER and is_last:
            return normalize(self._bottleneck(normalize(summed, False)) + summed, True)
        return normalize(summed, False)

    def _bottleneck(self, rows: tf.Tensor) -> tf.Tensor:
        """`W2 f(W1 x + b1) + b2`, in the variables of google-research/adapter-bert."""
        assert self._adapters is not None
        width, size = int(rows.shape[-1]), self._adapters.size
        with v1.variable_scope("adapters"):
            inner = in_float32(_ACTIVATIONS[self._adapters.activation], _linear(rows, width, size, 1))
            return _linear(inner, size, width, 2)


def _linear(rows: tf.Tensor, width: int, units: int, number: int) -> tf.Tensor:
    weights = v1.get_variable(f"weights{number}", [width, units], initializer=create_initializer(ADAPTER_SPREAD))
    biases = v1.get_variable(f"biases{number}", [1, units], initializer=v1.zeros_initializer())
    return tf.matmul(rows, as_type(weights, rows.dtype)) + as_type(biases, rows.dtype)


NOTHING_INSERTED = Inserted()
