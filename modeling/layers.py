"""The parts that work on one token at a time: dense layers, activations, layer normalization, dropout."""

from collections.abc import Callable

import tensorflow as tf

Activation = Callable[[tf.Tensor], tf.Tensor]

LAYER_NORM_EPSILON = 1e-12


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, tanh approximation.

    Source: arXiv:1606.08415; upstream's `gelu`.
    """
    return tf.nn.gelu(x, approximate=True)


def gelu_erf(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, exact form; what Hugging Face's configurations call `gelu`."""
    return tf.nn.gelu(x, approximate=False)


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


def dropout(input_tensor: tf.Tensor, dropout_prob: float | None) -> tf.Tensor:
    """Zero values at random and scale the others up.

    Args:
      input_tensor: any float tensor.
      dropout_prob: probability of zeroing a value (not of keeping it); None or 0 leaves the tensor as it is.
    """
    return tf.nn.dropout(input_tensor, rate=dropout_prob) if dropout_prob else input_tensor


def layer_norm(input_tensor: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Normalize the last dimension, then scale and shift by the variables `gamma` and `beta`.

    Args:
      input_tensor: float `[..., H]`.
      name: variable scope, `LayerNorm` by default.

    Source: arXiv:1607.06450, with upstream's epsilon of 1e-12.
    """
    width = input_tensor.shape[-1]
    with tf.compat.v1.variable_scope(name, "LayerNorm"):
        beta = tf.compat.v1.get_variable("beta", [width], initializer=tf.compat.v1.zeros_initializer())
        gamma = tf.compat.v1.get_variable("gamma", [width], initializer=tf.compat.v1.ones_initializer())
        mean, variance = tf.nn.moments(input_tensor, axes=[-1], keepdims=True)
        return tf.nn.batch_normalization(input_tensor, mean, variance, beta, gamma, LAYER_NORM_EPSILON)


def layer_norm_and_dropout(input_tensor: tf.Tensor, dropout_prob: float | None, name: str | None = None) -> tf.Tensor:
    """`layer_norm`, then `dropout`."""
    return dropout(layer_norm(input_tensor, name), dropout_prob)


def dense(
    rows: tf.Tensor, units: int, name: str, activation: Activation | None = None, initializer_range: float = 0.02
) -> tf.Tensor:
    """A linear layer with the variables `kernel` and `bias`, and an activation.

    Args:
      rows: float `[N, width]`.
      units: width of the result.
      name: variable scope.
      activation: applied last; None for none.
      initializer_range: standard deviation of the kernel's initializer; the bias starts at zero.

    Returns:
      float `[N, units]`.
    """
    with tf.compat.v1.variable_scope(name):
        kernel = tf.compat.v1.get_variable(
            "kernel", [rows.shape[-1], units], initializer=create_initializer(initializer_range)
        )
        bias = tf.compat.v1.get_variable("bias", [units], initializer=tf.compat.v1.zeros_initializer())
        outputs = tf.nn.bias_add(tf.matmul(rows, kernel), bias)
        return activation(outputs) if activation else outputs
