"""Which variables move, at which rate, with what weight decay: one table for all that decides it."""

import numpy as np
import pytest
import tensorflow as tf

from estimator.config import ADAMW, LAMB
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling import BertConfig, ClassificationHead
from modeling.parameter_groups import HEAD, ParameterGroup, ParameterTable, Training
from modeling.settings import ModelSettings
from modeling.training.freezing import parse_frozen_parts
from tests.support import tiny
from tests.support.graphs import initialize_by_name

tf1 = tf.compat.v1
CONFIG = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 1, "classifier_dropout": 0.0})
KERNEL, BIAS, WORDS = "bert/pooler/dense/kernel", "bert/pooler/dense/bias", "bert/embeddings/word_embeddings"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (KERNEL, Training(None, 0.01, True)),
        (f"{BIAS}:0", Training(None, 0.0, True)),
        ("bert/encoder/layer_0/output/LayerNorm/gamma", Training(None, 0.0, True)),
        ("output_weights", Training(None, 0.01, True)),
        ("output_bias", Training(None, 0.0, True)),
    ],
)
def test_an_empty_table_is_upstreams(name, expected):
    assert ParameterTable().of(name) == expected


def test_each_setting_is_that_of_the_first_group_that_says_something_of_it():
    table = ParameterTable(
        (
            ParameterGroup("embeddings", "^bert/embeddings/", is_trained=False),
            ParameterGroup("transitions", "^crf/", learning_rate=0.1, weight_decay=0.0),
            ParameterGroup("head", HEAD, learning_rate=1e-3),
        )
    )
    assert table.of(WORDS) == Training(None, 0.01, False)
    assert table.of("crf/transitions") == Training(0.1, 0.0, True)
    assert table.of("output_bias") == Training(1e-3, 0.0, True)
    assert table.of(KERNEL) == Training(None, 0.01, True)
    assert table.rates() == {0.1, 1e-3}


class Scaled(ClassificationHead):
    """A head that trains its bias at a rate of its own and decays it."""

    parameter_groups = (ParameterGroup("bias", "^output_bias", learning_rate=0.5, weight_decay=0.2),)


def trained(head, schedule, freeze="", **settings):
    """Every variable before and after one update."""
    graph = GraphSettings(frozen=parse_frozen_parts(freeze, 1), **settings)
    rng = np.random.default_rng(0)
    ids = tf.constant(rng.integers(1, 40, [4, 6]), tf.int32)
    features = {"input_ids": ids, "input_mask": tf.ones_like(ids), "segment_ids": tf.zeros_like(ids)}
    features["label_ids"] = tf.constant([0, 1, 1, 1])
    with tf1.Session(graph=ids.graph) as session:
        spec = build_model_fn(ModelSettings(CONFIG), head, schedule, graph)(
            features, None, tf.estimator.ModeKeys.TRAIN, {}
        )
        initialize_by_name(session)
        variables = {variable.op.name: variable for variable in tf1.trainable_variables()}
        before = session.run(variables)
        session.run(spec.train_op)
        after = session.run({variable.op.name: variable for variable in tf1.global_variables()})
    return before, after


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (ADAMW, {}),
        pytest.param(LAMB, {"micro_batches": 2}, marks=pytest.mark.slow),
        pytest.param(ADAMW, {"micro_batches": 2}, marks=pytest.mark.slow),
        pytest.param(LAMB, {}, marks=pytest.mark.slow),
    ],
)
def test_the_head_has_a_rate_of_its_own_and_a_group_of_it_another(optimizer, settings):
    def steps(head, head_rate=None):
        with tf.Graph().as_default():
            before, after = trained(head, Schedule(1e-3, 10, 0, optimizer, head_rate), **settings)
        return {name: after[name] - value for name, value in before.items()}, before

    plain, before = steps(ClassificationHead(2))
    fast, _ = steps(ClassificationHead(2), 1e-2)
    own, _ = steps(Scaled(2), 1e-2)
    np.testing.assert_allclose(fast[KERNEL], plain[KERNEL], rtol=1e-3, atol=1e-7)
    for name in ("output_weights", "output_bias"):
        np.testing.assert_allclose(fast[name], 10 * plain[name], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(own["output_weights"], fast["output_weights"], rtol=1e-4, atol=1e-6)
    if optimizer == ADAMW:
        expected = 500 * plain["output_bias"] - 0.9 * 0.5 * 0.2 * before["output_bias"]
        np.testing.assert_allclose(own["output_bias"], expected, rtol=1e-2)
    assert not np.allclose(own["output_bias"], fast["output_bias"])


def test_what_is_frozen_stays_whatever_its_rate(caplog):
    with tf.Graph().as_default(), caplog.at_level("INFO"):
        before, after = trained(ClassificationHead(2), Schedule(1e-3, 10, 0, ADAMW, 1e-2), "encoder")
    same = {name for name, value in before.items() if np.array_equal(after[name], value)}
    assert same == {name for name in before if name.startswith(("bert/embeddings", "bert/encoder"))}
    assert not any(f"{name}/adam_m" in after for name in same)
    assert "32 parameters: learning rate 0.01, weight decay 0.01; 2 parameters: learning rate 0.01, weight decay 0" in (
        caplog.text
    )
    assert "parameters: frozen;" in caplog.text
