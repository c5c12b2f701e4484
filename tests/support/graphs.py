"""Weights of graphs in tests."""

import numpy as np
import tensorflow as tf


def assign(session, values) -> None:
    """Gives variables their arrays in one run of the session: every new set of fetches optimizes the graph anew."""
    fed = {variable.initializer.inputs[1]: value for variable, value in values.items()}
    session.run([variable.initializer for variable in values], fed)


def initialize_by_name(session) -> None:
    """Initializes every variable, and trained ones with values that depend on the order of their names alone."""
    session.run(tf.compat.v1.global_variables_initializer())
    variables = sorted(tf.compat.v1.trainable_variables(), key=lambda variable: variable.op.name)
    assign(
        session,
        {
            variable: np.random.default_rng(index).normal(0, 0.3, variable.shape).astype(np.float32)
            for index, variable in enumerate(variables)
        },
    )
