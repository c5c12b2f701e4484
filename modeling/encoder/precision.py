"""Mixed precision: which type the encoder's layers compute in.

A layer takes its type from the rows that go into it: `dense` and attention multiply in it, and what loses too much in
sixteen bits (softmax, activations, layer normalization) is float32 in between. Variables are float32 throughout, and
so are their gradients: the cast of a variable casts its gradient back.

Source: arXiv:1710.03740.
"""

from collections.abc import Callable

import tensorflow as tf


def as_type(tensor: tf.Tensor | tf.Variable, dtype: tf.DType) -> tf.Tensor | tf.Variable:
    """The tensor in another type; as it is, without an operation, where it has that type already."""
    return tensor if tensor.dtype.base_dtype == dtype else tf.cast(tensor, dtype)


def in_float32(function: Callable[..., tf.Tensor], tensor: tf.Tensor, *args: tf.Tensor) -> tf.Tensor:
    """A function computed in float32 on a tensor of any float type, which its result has again.

    Args:
      function: of a float32 tensor, and what follows.
      tensor: float.
      args: passed on as they are.
    """
    return as_type(function(as_type(tensor, tf.float32), *args), tensor.dtype)
