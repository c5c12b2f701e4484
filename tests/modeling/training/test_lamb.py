"""LAMB against its own formulas, and where it is chosen."""

import numpy as np
import tensorflow as tf

from modeling.training.lamb import LambOptimizer
from modeling.training.optimization import create_optimizer

v1 = tf.compat.v1
RATE, DECAY, STEPS = 0.05, 0.01, 5


def expected(values, gradients, is_decayed):
    m, v = np.zeros_like(values), np.zeros_like(values)
    for update, gradient in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = m / (1 - 0.9**update) / (np.sqrt(v / (1 - 0.999**update)) + 1e-6)
        if is_decayed:
            step = step + DECAY * values
            step = step * np.linalg.norm(values) / np.linalg.norm(step)
        values = values - RATE * step
    return values


def test_updates_follow_the_algorithm():
    rng = np.random.default_rng(3)
    start = {"kernel": rng.normal(size=(3, 4)).astype("f"), "bias": rng.normal(size=4).astype("f")}
    gradients = {name: rng.normal(size=(STEPS, *value.shape)).astype("f") for name, value in start.items()}
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {name: v1.get_variable(name, initializer=value) for name, value in start.items()}
        optimizer = LambOptimizer(RATE, DECAY, exclude_from_weight_decay=["bias"])
        given = {name: v1.placeholder(tf.float32, value.shape) for name, value in start.items()}
        global_step = v1.train.get_or_create_global_step()
        train = optimizer.apply_and_count([(given[name], variables[name]) for name in start], global_step)
        session.run(v1.global_variables_initializer())
        for update in range(STEPS):
            session.run(train, {given[name]: gradients[name][update] for name in start})
        found = session.run(variables)
    for name, value in start.items():
        np.testing.assert_allclose(found[name], expected(value, gradients[name], name == "kernel"), rtol=1e-4)


def test_rows_of_a_table_move_by_a_sparse_gradient():
    with tf.Graph().as_default(), v1.Session() as session:
        table = v1.get_variable("table", initializer=np.ones((4, 2), "f"))
        loss = tf.reduce_sum(tf.gather(table, [1, 1, 2]))
        train = create_optimizer(loss, RATE, 10, 0, False, optimizer=LambOptimizer)
        session.run(v1.global_variables_initializer())
        session.run(train)
        moved = session.run(table)
    assert (moved[[1, 2]] < moved[[0, 3]]).all()
    assert (moved < 1).all()  # weight decay moves the others, too
