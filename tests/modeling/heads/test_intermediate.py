"""Losses inside: the distances between layers and between scores of attention, computed once more in NumPy."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.checkpoints.restore import read_tensor
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.heads.classification import ClassificationHead
from modeling.heads.intermediate import ATTENTION, HIDDEN, IntermediateHead
from modeling.inside import Inside, even_layers
from tests.support import tiny

IDS = np.array([[2, 5, 6, 3], [2, 7, 3, 0]], np.int32)
FEATURES = {"input_ids": IDS, "input_mask": np.minimum(IDS, 1), "segment_ids": np.zeros_like(IDS), "label_ids": [0, 1]}
REAL = IDS > 0
HEADS = tiny.CONFIG["num_attention_heads"]


def config_of(folder):
    return BertConfig.from_dict(json.loads((folder / "bert_config.json").read_text()))


def encoder_of(folder, features, config=None):
    return BertModel(
        config or config_of(folder), False, features["input_ids"], features["input_mask"], features["segment_ids"],
        scope="bert", packed=True,
    )  # fmt: skip


def layers_of(folder):
    """Embeddings and what comes out of each layer, `[B, S, H]` each."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        features = {name: tf.constant(value) for name, value in FEATURES.items()}
        encoder = encoder_of(folder, features)
        names = {variable.op.name: variable for variable in tf.compat.v1.trainable_variables()}
        tf.compat.v1.train.init_from_checkpoint(str(folder / "bert_model.ckpt"), names)
        session.run(tf.compat.v1.global_variables_initializer())
        return session.run([encoder.embedding_output, *encoder.all_encoder_layers])


def scores_of(folder, layer):
    """Scores of attention of a layer, `[B, A, S, S]`."""
    inputs = layers_of(folder)[layer]
    prefix = f"bert/encoder/layer_{layer}/attention/self"
    values = {
        name: inputs @ read_tensor(str(folder), f"{prefix}/{name}/kernel")
        + read_tensor(str(folder), f"{prefix}/{name}/bias")
        for name in ("query", "key")
    }
    query, key = (
        value.reshape(*IDS.shape, HEADS, -1).transpose(0, 2, 1, 3) for value in (values["query"], values["key"])
    )
    return query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])


def computed(student, inside, config=None):
    """The parts of the loss, their gradients' variables, and what a checkpoint would hold."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        features = {name: tf.constant(value) for name, value in FEATURES.items()}
        head = IntermediateHead(ClassificationHead(2), inside)
        logits = head.read(lambda rows: encoder_of(student, rows, config), features, is_training=False)
        variables = tf.compat.v1.trainable_variables()
        names = {one.op.name: one for one in variables if one.op.name.startswith("bert/")}
        if config is None:
            tf.compat.v1.train.init_from_checkpoint(str(student / "bert_model.ckpt"), names)
        parts = head.loss_parts(logits, features)
        assert head.loss_weights(features).keys() == parts.keys()
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.local_variables_initializer()])
        saved = [variable.op.name for variable in tf.compat.v1.global_variables()]
        return session.run(parts), [one.op.name for one in variables], saved


def test_a_student_that_is_its_teacher_has_nothing_to_learn(two_layers):
    inside = Inside(config_of(two_layers), str(two_layers / "bert_model.ckpt"), (0, 1), hidden=1.0, attention=1.0)
    parts, trained, saved = computed(two_layers, inside)
    assert (parts[HIDDEN], parts[ATTENTION]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert not [name for name in (*trained, *saved) if name.startswith(("teacher", "distillation"))]


def test_distances_are_means_over_tokens_layers_and_heads(tiny_model, two_layers):
    inside = Inside(config_of(two_layers), str(two_layers / "bert_model.ckpt"), (1,), hidden=0.5, attention=2.0)
    parts, _, _ = computed(tiny_model, inside)
    student, teacher = layers_of(tiny_model), layers_of(two_layers)
    distances = [np.square(one[REAL] - other[REAL]).mean() for one, other in zip(student, teacher[::2], strict=True)]
    assert parts[HIDDEN] == pytest.approx(0.5 * np.mean(distances), rel=1e-4)
    pairs = np.broadcast_to((REAL[:, :, None] & REAL[:, None])[:, None], (2, HEADS, 4, 4))
    apart = np.square(scores_of(tiny_model, 0) - scores_of(two_layers, 1))[pairs].mean()
    assert parts[ATTENTION] == pytest.approx(2.0 * apart, rel=1e-4)


def test_another_width_is_learned_through_a_matrix(tiny_model, two_layers):
    narrow = BertConfig.from_dict({**tiny.CONFIG, "hidden_size": 8})
    inside = Inside(config_of(two_layers), str(two_layers / "bert_model.ckpt"), (1,), hidden=1.0)
    parts, trained, _ = computed(tiny_model, inside, narrow)
    assert parts.keys() == {"loss", HIDDEN}
    assert parts[HIDDEN] > 0
    assert "distillation/projection/kernel" in trained


def test_layers_are_spread_evenly():
    assert (even_layers(4, 12), even_layers(3, 6), even_layers(2, 5)) == ((2, 5, 8, 11), (1, 3, 5), (1, 4))
