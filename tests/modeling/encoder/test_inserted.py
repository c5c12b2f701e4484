"""Adapters and low-rank deltas: their owners' numbers, what is trained, and what a new one computes."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel, ClassificationHead, create_optimizer, initialize_from_checkpoint
from modeling.insertions import PFEIFFER, TARGETS, Adapters, Lora
from modeling.parameter_groups import ParameterTable
from tests.support import tiny
from tests.support.graphs import assign

tf1 = tf.compat.v1
INPUTS = ("input_ids", "input_mask", "segment_ids")
CONFIG = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 2})
IDS = np.concatenate(  # the first token of a row is real
    [np.full([3, 1], 5), np.random.default_rng(0).integers(1, 40, [3, 6])], axis=1
).astype(np.int32)


def test_outputs_and_training_are_those_of_adapter_bert(golden):
    """The reference reads its step while it is increased: its tenth update has the rate of the ninth."""
    folder = golden / "families" / "adapter"
    expected = np.load(folder / "train.npz")
    config = BertConfig.from_json_file(folder / "bert_config.json")
    config.classifier_dropout = 0.0
    adapters = Adapters(64)
    steps, warmup, peak = (expected[name].item() for name in ("num_train_steps", "num_warmup_steps", "lr"))
    with tf.Graph().as_default(), tf1.Session() as session:
        features = {name: tf1.placeholder(tf.int32, [5, 20]) for name in INPUTS}
        features["label_ids"] = tf1.placeholder(tf.int32, [5])
        rate = tf1.placeholder(tf.float32, [])
        encoder = BertModel(config, True, *[features[name] for name in INPUTS], scope="bert", insertions=adapters)
        head = ClassificationHead(3)
        logits = head.logits(encoder, features, is_training=True)
        loss, _ = head.loss(logits, features)
        variables, table = tf1.trainable_variables(), ParameterTable(adapters.groups())
        trained = table.trained(variables)
        assert {variable.op.name for variable in trained} == set(expected["trainable"])
        train_op = create_optimizer(loss, peak, steps, warmup, False, learning_rate=rate, table=table)
        assert initialize_from_checkpoint(variables, folder).new == ()
        session.run(tf1.global_variables_initializer())
        before = session.run({variable.op.name: variable for variable in variables if variable not in trained})
        feed = {features[name]: expected[name] for name in INPUTS}
        outputs = session.run([logits, encoder.get_pooled_output(), encoder.get_sequence_output()], feed)
        for name, values in zip(("logits", "pooled_output", "sequence_output"), outputs, strict=True):
            np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5)
        losses = []
        for step in range(steps):
            update = 9 if step == 9 else step + 1
            falling = peak * (1 - update / steps)
            feed |= {
                features["input_ids"]: expected["train_input_ids"][step],
                features["label_ids"]: expected["labels"][step],
                rate: peak * update / warmup if update < warmup else falling,
            }
            losses.append(session.run([loss, train_op], feed)[0])
        final = session.run({variable.op.name: variable for variable in variables})
    np.testing.assert_allclose(losses, expected["losses"], rtol=0, atol=1e-4)
    for name, value in before.items():
        np.testing.assert_array_equal(final[name], value)  # bit for bit
    differences = np.concatenate([np.abs(final[v.op.name] - expected["final:" + v.op.name]).ravel() for v in trained])
    assert np.mean(differences < 5e-5) > 0.99
    assert differences.max() < 1e-3


def outputs_with(insertions, values=None, **options):
    """Sequence output and gradients of its sum, with the weights of a seed, and others by name where given."""
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(3)
        mask = tf.constant((IDS > 4).astype(np.int32))
        encoder = BertModel(
            CONFIG, bool(options), tf.constant(IDS), mask, scope="bert", insertions=insertions, **options
        )
        variables = {variable.op.name: variable for variable in tf1.trainable_variables()}
        session.run(tf1.global_variables_initializer())
        given = {}
        for index, name in enumerate(sorted(variables)):
            spread = np.random.default_rng([index, len(name)]).normal(0, 0.3, variables[name].shape)
            if "lora_b" not in name and "adapters/" not in name:
                given[variables[name]] = by_name(name, variables[name].shape)
            elif values == "random":
                given[variables[name]] = spread.astype(np.float32)
        assign(session, given)
        gradients = tf.gradients(tf.reduce_sum(encoder.get_sequence_output()[:, 0]), list(variables.values()))
        known = {name: g for name, g in zip(variables, gradients, strict=True) if g is not None}
        dense = {name: tf.convert_to_tensor(gradient) for name, gradient in known.items()}
        return session.run((encoder.get_sequence_output(), dense, variables))


def by_name(name, shape):
    return np.random.default_rng(sum(map(ord, name))).normal(0, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize(
    "insertions", [pytest.param(Adapters(4), marks=pytest.mark.slow), Lora(2, 2.0, tuple(TARGETS))]
)
def test_what_is_new_changes_little(insertions):
    plain, _, _ = outputs_with(None)
    new, _, variables = outputs_with(insertions)
    np.testing.assert_allclose(new, plain, atol=1e-6 if isinstance(insertions, Lora) else 2e-2)
    assert any("lora_a" in name or "weights1" in name for name in variables)


def test_a_delta_is_a_change_of_the_kernel():
    lora = Lora(2, 1.5, tuple(TARGETS))
    found, _, variables = outputs_with(lora, "random")
    with tf.Graph().as_default(), tf1.Session() as session:
        encoder = BertModel(CONFIG, False, tf.constant(IDS), tf.constant((IDS > 4).astype(np.int32)), scope="bert")
        given = {}
        for variable in tf1.trainable_variables():
            name = variable.op.name
            value = variables[name]
            scope = name.removesuffix("/kernel")
            if f"{scope}/lora_a" in variables:
                value = value + variables[f"{scope}/lora_a"] @ variables[f"{scope}/lora_b"] * 1.5
            given[variable] = value
        assign(session, given)
        merged = session.run(encoder.get_sequence_output())
    np.testing.assert_allclose(found, merged, atol=1e-5)
    assert sum("lora_a" in name for name in variables) == len(TARGETS) * CONFIG.num_hidden_layers


@pytest.mark.slow
@pytest.mark.parametrize(
    "insertions",
    [
        Lora(2, 2.0, ("query", "output")),
        *(pytest.param(one, marks=pytest.mark.slow) for one in (Adapters(4), Adapters(4, PFEIFFER))),
    ],
)
def test_recomputing_and_unpadding_change_nothing(insertions):
    plain, gradients, _ = outputs_with(insertions, "random", recompute=False)
    for options in ({"recompute": True}, {"packed": True}, {"packed": True, "recompute": True}):
        other, others, _ = outputs_with(insertions, "random", **options)
        np.testing.assert_allclose(other[:, 0], plain[:, 0], atol=1e-5)
        assert others.keys() == gradients.keys()
        for name in gradients:
            np.testing.assert_allclose(others[name], gradients[name], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("insertions", "trained", "frozen"),
    [
        (Adapters(4), "bert/encoder/layer_0/output/LayerNorm/gamma", "bert/encoder/layer_0/output/dense/kernel"),
        (Adapters(4, PFEIFFER, layer_norms=False), "output_weights", "bert/encoder/layer_0/output/LayerNorm/gamma"),
        (Lora(2, 1.0), "bert/encoder/layer_1/attention/self/query/lora_b", "bert/pooler/dense/kernel"),
    ],
)
def test_the_base_stays(insertions, trained, frozen):
    table = ParameterTable(insertions.groups())
    assert table.of(trained).is_trained
    assert not table.of(frozen).is_trained
