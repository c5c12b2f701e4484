"""Rates by depth, and the optimizer's numbers as flags give them."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import AdamWeightDecayOptimizer, create_optimizer, learning_rate_schedule
from modeling.parameter_groups import ParameterTable
from modeling.settings import UpdateRule
from modeling.training.rates import rates_by_depth

tf1 = tf.compat.v1


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("bert/embeddings/word_embeddings", 0.8**5),
        ("bert/encoder/layer_0/output/dense/kernel", 0.8**4),
        ("bert/encoder/layer_2/attention/self/query/kernel", 0.8**2),
        ("bert/pooler/dense/kernel", 0.8),
        ("output_weights", 1.0),
    ],
)
def test_rates_by_depth_are_electras(name, factor):
    """`_get_layer_lrs`: rate * decay ** (layers + 2 - depth), depth 0 for embeddings, layers + 2 for the task."""
    rate = ParameterTable(rates_by_depth(0.8, 1e-3, 3)).of(name).learning_rate
    assert rate == pytest.approx(1e-3 * factor)


def test_layer_11_is_not_layer_1():
    table = ParameterTable(rates_by_depth(0.5, 1.0, 12))
    first, last = (table.of(f"bert/encoder/layer_{layer}/output/dense/kernel").learning_rate for layer in (1, 11))
    assert (first, last) == (0.5**12, 0.5**2)


def test_rate_can_fall_from_its_peak():
    with tf.Graph().as_default(), tf1.Session() as session:
        rate = learning_rate_schedule(1.0, 6, 2, True)
        step = tf1.train.get_global_step()
        session.run(tf1.global_variables_initializer())
        found = []
        for _ in range(7):
            found.append(session.run(rate))
            session.run(step.assign_add(1))
    np.testing.assert_allclose(found, [0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0], atol=1e-6)


def written_out(value, gradients, rate, rule):
    """Adam with decoupled decay as it is written, epsilon after the correction."""
    m = v = np.zeros_like(value)
    for step, gradient in enumerate(gradients, 1):
        m = rule.adam_beta1 * m + (1 - rule.adam_beta1) * gradient
        v = rule.adam_beta2 * v + (1 - rule.adam_beta2) * gradient**2
        corrected = (m / (1 - rule.adam_beta1**step)) / (np.sqrt(v / (1 - rule.adam_beta2**step)) + rule.adam_epsilon)
        value = value - rate * (corrected + rule.weight_decay * value)
    return value


@pytest.mark.parametrize("use_resource", [True, False])
def test_bias_correction_and_other_numbers(use_resource):
    rule = UpdateRule(0.3, 0.8, 0.95, 1e-2, adam_bias_correction=True)
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=[3, 2]), rng.normal(size=[5, 3, 2])
    with tf.Graph().as_default(), tf1.Session() as session:
        variable = tf1.get_variable("kernel", initializer=start.astype(np.float32), use_resource=use_resource)
        optimizer = AdamWeightDecayOptimizer(
            0.1, rule.weight_decay, rule.adam_beta1, rule.adam_beta2, rule.adam_epsilon, corrects_bias=True
        )
        gradient = tf1.placeholder(tf.float32, [3, 2])
        train_op = optimizer.apply_and_count([(gradient, variable)], tf1.train.get_or_create_global_step())
        session.run(tf1.global_variables_initializer())
        for one in gradients:
            session.run(train_op, {gradient: one})
        found = session.run(variable)
    np.testing.assert_allclose(found, written_out(start, gradients, 0.1, rule), rtol=1e-4, atol=1e-5)


def test_clip_norm_and_decay_reach_the_optimizer():
    rule = UpdateRule(weight_decay=0.0, adam_beta1=0.0, adam_beta2=0.0, adam_epsilon=1.0, clip_norm=0.5)
    with tf.Graph().as_default(), tf1.Session() as session:
        kernel = tf1.get_variable("kernel", initializer=np.array([1.0, 1.0], np.float32))
        loss = tf.reduce_sum(kernel * [30.0, 40.0])
        table = ParameterTable(weight_decay=rule.weight_decay)
        train_op = create_optimizer(loss, 1.0, 10**6, 0, False, table=table, rule=rule)
        session.run(tf1.global_variables_initializer())
        session.run(train_op)
        found = session.run(kernel)
    np.testing.assert_allclose(found, [1 - 0.3 / 1.3, 1 - 0.4 / 1.4], rtol=1e-5)  # clipped to 0.3 and 0.4
