"""The parts that work on one token at a time: dense layers, activations, layer normalization, dropout."""

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from modeling.encoder.gradients import with_gradient
from modeling.encoder.precision import as_type, in_float32
from modeling.encoder.step_seeds import next_seed

Activation = Callable[[tf.Tensor], tf.Tensor]

LAYER_NORM_EPSILON = 1e-12

_DRAWS = 2**16  # values that sixteen random bits can take


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, tanh approximation.

    Source: arXiv:1606.08415; upstream's `gelu`.
    """
    return tf.nn.gelu(x, approximate=True)


def gelu_erf(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, exact form; what Hugging Face's configurations call `gelu`."""
    return tf.nn.gelu(x, approximate=False)


@with_gradient
def _gelu_for_training(x: tf.Tensor) -> Any:
    """`gelu` with its derivative written out: a third less work over both passes than what TensorFlow derives."""
    twice = 2.0 * math.sqrt(2.0 / math.pi)
    square = tf.square(x)
    gate = tf.sigmoid(x * (twice + twice * 0.044715 * square))  # (1 + tanh(u)) / 2 = sigmoid(2u)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        slope = x * (twice + 3.0 * twice * 0.044715 * square)
        return upstream * (gate + tf.raw_ops.SigmoidGrad(y=gate, dy=slope))

    return x * gate, gradient


@with_gradient
def _gelu_erf_for_training(x: tf.Tensor) -> Any:
    """`gelu_erf` with its derivative written out."""
    gate = 0.5 * tf.math.erf(x * math.sqrt(0.5)) + 0.5

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        density = tf.exp(-0.5 * tf.square(x)) * (1.0 / math.sqrt(2.0 * math.pi))
        return upstream * (gate + x * density)

    return x * gate, gradient


def training_form(activation: Activation | None) -> Activation | None:
    """The same function, with a faster gradient where there is one.

    Without a gradient the plain form is the faster: TensorFlow can fuse it into the matrix product before it.
    """
    if activation is None:
        return None
    faster: dict[Activation, Activation] = {gelu: _gelu_for_training, gelu_erf: _gelu_erf_for_training}
    return faster.get(activation, activation)


def get_activation(activation_string: str | Activation | None) -> Activation | None:
    """Function of an activation's name.

    Args:
      activation_string: `gelu`, `gelu_erf`, `relu`, `tanh`, `linear`, or a function, which is returned as it is.

    Returns:
      The function; None for `linear` and for an empty name.

    Raises:
      ValueError: the name is unknown.
    """
    if not activation_string or callable(activation_string):
        return activation_string or None
    known = {"linear": None, "relu": tf.nn.relu, "gelu": gelu, "gelu_erf": gelu_erf, "tanh": tf.tanh}
    name = activation_string.lower()
    if name not in known:
        raise ValueError(f"unknown activation {activation_string!r}, expected one of {', '.join(sorted(known))}")
    return known[name]


def create_initializer(initializer_range: float = 0.02) -> tf.compat.v1.keras.initializers.Initializer:
    """Truncated normal initializer with the given standard deviation."""
    return tf.compat.v1.truncated_normal_initializer(stddev=initializer_range)


def dropout(input_tensor: tf.Tensor, dropout_prob: float | None, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Zero values at random and scale the others up.

    Args:
      input_tensor: any float tensor.
      dropout_prob: probability of zeroing a value (not of keeping it), taken to the nearest 1/65536; None or 0 leaves
        the tensor as it is.
      seed: int32 `[2]`; the same seed drops the same values. By default every run drops others, or those of
        `step_seeds`, where these are in force.
    """
    if not dropout_prob:
        return input_tensor
    seed = next_seed() if seed is None else seed
    kept = round((1.0 - dropout_prob) * _DRAWS)
    # Random numbers are the dearest part of dropout, and sixteen bits of each do: four values from one draw.
    size = tf.size(input_tensor)
    draws = _random_words((size + 3) // 4, seed)
    shorts = tf.reshape(tf.bitcast(draws, tf.uint16), [-1])[:size]
    mask = tf.cast(shorts < tf.constant(kept, tf.uint16), input_tensor.dtype) * (_DRAWS / kept)
    return input_tensor * tf.reshape(mask, tf.shape(input_tensor))


def _random_words(count: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
    if seed is None:
        return tf.random.uniform([count], tf.int64.min, tf.int64.max, tf.int64)
    return tf.random.stateless_uniform([count], seed, minval=None, maxval=None, dtype=tf.int64)


def layer_norm(input_tensor: tf.Tensor, name: str | None = None, epsilon: float = LAYER_NORM_EPSILON) -> tf.Tensor:
    """Normalize the last dimension, then scale and shift by the variables `gamma` and `beta`.

    Args:
      input_tensor: float `[..., H]`; it is normalized in float32, and the result has its type.
      name: variable scope, `LayerNorm` by default.
      epsilon: added to the variance; upstream's 1e-12 by default.

    Source: arXiv:1607.06450.
    """
    width = input_tensor.shape[-1]
    with tf.compat.v1.variable_scope(name, "LayerNorm"):
        beta = tf.compat.v1.get_variable("beta", [width], initializer=tf.compat.v1.zeros_initializer())
        gamma = tf.compat.v1.get_variable("gamma", [width], initializer=tf.compat.v1.ones_initializer())
        return in_float32(_normalizer(epsilon), input_tensor, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


@functools.cache
def _normalizer(epsilon: float) -> Callable[..., tf.Tensor]:
    """Layer normalization with its gradient written out: half the work of what TensorFlow derives."""

    @with_gradient
    def normalize(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
        normalized = centred * scale

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            inner = upstream * gamma
            shift = tf.reduce_mean(inner, axis=-1, keepdims=True)
            along = tf.reduce_mean(inner * normalized, axis=-1, keepdims=True)
            leading = list(range(x.shape.rank - 1))
            to_gamma = tf.reduce_sum(upstream * normalized, axis=leading)
            return scale * (inner - shift - normalized * along), to_gamma, tf.reduce_sum(upstream, axis=leading)

        return normalized * gamma + beta, gradient

    return normalize


def layer_norm_and_dropout(
    input_tensor: tf.Tensor,
    dropout_prob: float | None,
    name: str | None = None,
    epsilon: float = LAYER_NORM_EPSILON,
) -> tf.Tensor:
    """`layer_norm`, then `dropout`."""
    return dropout(layer_norm(input_tensor, name, epsilon), dropout_prob)


def dense(
    rows: tf.Tensor,
    units: int,
    name: str,
    activation: Activation | None = None,
    initializer_range: float = 0.02,
    delta: Callable[[tf.Tensor, int], tf.Tensor] | None = None,
) -> tf.Tensor:
    """A linear layer with the variables `kernel` and `bias`, and an activation.

    Args:
      rows: float `[N, width]`, in the type to multiply in.
      units: width of the result.
      name: variable scope.
      activation: applied last; None for none.
      initializer_range: standard deviation of the kernel's initializer; the bias starts at zero.
      delta: from rows and units what is added before the activation, with variables in the same scope.

    Returns:
      `[N, units]` in the type of the rows; the activation is computed in float32.
    """
    with tf.compat.v1.variable_scope(name):
        kernel = tf.compat.v1.get_variable(
            "kernel", [rows.shape[-1], units], initializer=create_initializer(initializer_range)
        )
        bias = tf.compat.v1.get_variable("bias", [units], initializer=tf.compat.v1.zeros_initializer())
        outputs = tf.nn.bias_add(tf.matmul(rows, as_type(kernel, rows.dtype)), as_type(bias, rows.dtype))
        outputs = outputs if delta is None else outputs + delta(rows, units)
        return in_float32(activation, outputs) if activation else outputs
