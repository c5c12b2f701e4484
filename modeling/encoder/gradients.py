"""Functions whose gradient is written out."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_numbers = itertools.count()


def with_gradient(function: Callable[..., Any]) -> Callable[..., tf.Tensor]:
    """Decorator: `function` gives its result and a function from the result's gradient to those of its arguments.

    In a plain graph, which is where an estimator trains, this is `tf.custom_gradient` without its search for variables,
    whose identities stay in the graph: a test that all operations are reachable would find them. Elsewhere it is
    `tf.custom_gradient`.

    Args:
      function: of tensors; it uses no variables.
    """
    general = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*tensors: tf.Tensor) -> tf.Tensor:
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        if graph is None or graph.building_function:
            return general(*tensors)
        result, gradient = function(*tensors)
        name = f"WrittenOut{next(_numbers)}"

        @tf.RegisterGradient(name)
        def of_inputs(operation: tf.Operation, upstream: tf.Tensor, *others: tf.Tensor) -> list[tf.Tensor | None]:
            del operation, others
            return [None, *_each(gradient(upstream))]

        with graph.gradient_override_map({"IdentityN": name}):
            return tf.identity_n([result, *tensors])[0]

    return call


def _each(gradients: Any) -> tuple[Any, ...]:
    return tuple(gradients) if isinstance(gradients, list | tuple) else (gradients,)
