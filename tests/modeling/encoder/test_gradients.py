"""A gradient that is written out is the one that TensorFlow uses, in a graph, in a function and eagerly."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel
from modeling.encoder.gradients import with_gradient
from tests.support import tiny

tf1 = tf.compat.v1


@with_gradient
def scaled(x, factor):
    """The product, with ten times its gradient for `x` and none for `factor`."""
    return x * factor, lambda upstream: (10.0 * upstream * factor, None)


@with_gradient
def tripled(x):
    return 3.0 * x, lambda upstream: 7.0 * upstream


def in_a_graph():
    with tf.Graph().as_default(), tf1.Session() as session:
        x, factor = tf.constant([1.0, 2.0]), tf.constant(4.0)
        result = tripled(scaled(x, factor))
        gradients = tf.gradients(result, [x, factor])
        assert gradients[1] is None
        return session.run([result, gradients[0]])


def eagerly():
    x, factor = tf.constant([1.0, 2.0]), tf.constant(4.0)
    with tf.GradientTape() as tape:
        tape.watch([x, factor])
        result = tripled(scaled(x, factor))
    gradients = tape.gradient(result, [x, factor])
    assert gradients[1] is None
    return result, gradients[0]


@pytest.mark.parametrize("computed", [in_a_graph, eagerly, lambda: tf.function(eagerly)()])
def test_the_gradient_is_the_one_written_out(computed):
    result, gradient = computed()
    np.testing.assert_allclose(result, [12.0, 24.0])
    np.testing.assert_allclose(gradient, [280.0, 280.0])


def test_a_model_for_training_has_no_operation_that_nothing_uses():
    """As a test of google-research/bert asks of its own."""
    with tf.Graph().as_default() as graph:
        config = BertConfig.from_dict({**tiny.CONFIG, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
        model = BertModel(config, True, tf.constant([[2, 5, 3]]), tf.constant([[1, 1, 0]]), tf.constant([[0, 1, 0]]))
        outputs = [model.get_embedding_output(), *model.get_all_encoder_layers(), model.get_pooled_output()]
        used = {output.op for output in outputs}
    reading_variables = {"VarIsInitializedOp", "ReadVariableOp", "AssignVariableOp"}
    unused = [
        operation.name
        for operation in graph.get_operations()
        if operation.outputs and operation not in used and operation.type not in reading_variables
        and not any(output.consumers() for output in operation.outputs)
    ]  # fmt: skip
    assert unused == []
