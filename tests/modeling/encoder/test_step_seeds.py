"""Dropout by place: equal at equal places, unrelated elsewhere, and absent by default."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.encoder.layers import dropout
from modeling.encoder.step_seeds import micro_batch, next_seed, next_seeds, seeds_by_place

tf1 = tf.compat.v1
ONES = np.ones([64, 64], np.float32)


def drawn(seed=7, step=3, micro=None, replica=0, before=0, monkeypatch=None):
    """What dropout leaves of ones at a place, after some other operations."""
    with tf.Graph().as_default(), tf1.Session() as session:
        global_step = tf1.train.get_or_create_global_step()
        with pytest.MonkeyPatch.context() as patch:
            if replica:
                context = type("Context", (), {"replica_id_in_sync_group": replica})
                patch.setattr(tf.distribute, "get_replica_context", context)
            with seeds_by_place(seed):
                for _ in range(before):
                    dropout(tf.constant(ONES), 0.5)
                if micro is None:
                    made = dropout(tf.constant(ONES), 0.5)
                else:
                    with micro_batch(micro):
                        made = dropout(tf.constant(ONES), 0.5)
        session.run(tf1.global_variables_initializer())
        global_step.load(step, session)
        return session.run(made), session.run(made)


def test_equal_places_give_equal_values_in_every_session():
    (first, again), (other, _) = drawn(), drawn()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, other)
    np.testing.assert_array_equal(first, drawn(micro=0)[0])
    assert 0.45 < first.mean() / 2 < 0.55


@pytest.mark.parametrize(
    "place",
    [
        {"seed": 8},
        {"seed": 7 + 2**31},
        {"step": 4},
        {"micro": 1},
        {"replica": 1},
        {"before": 1},
        {"micro": 1, "step": 2},
    ],
    ids=str,
)
def test_other_places_give_unrelated_values(place):
    here, there = drawn()[0] > 0, drawn(**place)[0] > 0
    assert abs((here == there).mean() - 0.5) < 0.03


def test_nothing_changes_by_default():
    with tf.Graph().as_default() as graph, seeds_by_place(None), micro_batch(3):
        assert next_seed() is None
        next_seeds(3)
        dropout(tf.constant(ONES), 0.5)
        kinds = {operation.type for operation in graph.get_operations()}
    assert "RandomUniformInt" in kinds
    assert not any(kind.startswith("Stateless") for kind in kinds)
