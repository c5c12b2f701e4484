"""Backward passes that compute a part of the forward pass again instead of keeping it in memory."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def recomputed(function: Callable[[tf.Tensor], tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    """`function(inputs)`, of which only the inputs are kept for the backward pass.

    Args:
      function: makes ops, and variables by `get_variable`, which it takes as tensors; the same inputs have to give the
        same outputs, so whatever is random in it must have a seed from outside.
      inputs: tensors to differentiate by, besides the variables.

    Returns:
      What the function returns.

    Source: arXiv:1604.06174.
    """
    scope = tf.compat.v1.get_variable_scope()
    weights: dict[str, tf.Tensor] = {}

    def read(getter: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> tf.Tensor:
        if name not in weights:
            weights[name] = tf.convert_to_tensor(getter(name, *args, **kwargs))
        return weights[name]

    with tf.compat.v1.variable_scope(scope, custom_getter=read):
        outputs = function(inputs)

    # Variables go in as tensors: TensorFlow's own search for them by name fails on the replicas of a strategy.
    @tf.custom_gradient
    def bridge(inputs: tf.Tensor, *tensors: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> Any:
            # All of it waits for the gradient from above: else it would run at once, be kept, and save nothing.
            with (
                tf.control_dependencies([upstream]),
                tf.compat.v1.variable_scope(scope, reuse=True, custom_getter=read),
            ):
                again = tf.identity(inputs)
                computed = function(again)
            sources = [again, *tensors]
            return tf.gradients(computed, sources, upstream, stop_gradients=sources)

        return tf.identity(outputs), gradient

    return bridge(inputs, *weights.values())
