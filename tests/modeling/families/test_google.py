"""Checkpoints of google-research/electra and google-research/albert: their own outputs, and their names both ways."""

import json

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from common.errors import CheckpointError
from modeling.checkpoints.first_weights import check_weights
from modeling.checkpoints.restore import checkpoint_variables, initialize_from_checkpoint, left_out, write_weights
from modeling.config import BertConfig
from modeling.encoder.model import BertModel

v1 = tf.compat.v1
TOLERANCE = 1e-5


def config_of(golden, name):
    return BertConfig.from_json_file(golden / "families" / name / f"{name}_config.json")


@pytest.fixture(params=["electra", "albert"])
def name(request):
    return request.param


@pytest.mark.parametrize("packed", [True, False])
def test_the_encoder_gives_their_outputs(golden, name, packed):
    folder = golden / "families" / name
    config = config_of(golden, name)
    assert config.model_type == name
    with np.load(folder / "forward.npz") as arrays:
        expected = dict(arrays)
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = [tf.constant(expected[key]) for key in ("input_ids", "input_mask", "segment_ids")]
        encoder = BertModel(config, False, *inputs, scope="bert", packed=packed)
        report = initialize_from_checkpoint(v1.trainable_variables(), str(folder))
        session.run(v1.global_variables_initializer())
        layers, pooled = session.run([encoder.get_all_encoder_layers(), encoder.get_pooled_output()])
    assert [one for one in report.new if not one.startswith("bert/pooler/")] == []
    assert report.unused == ()
    theirs = expected.get("all_layers")
    if theirs is None:
        theirs = [expected[f"layer_{index}"] for index in range(config.num_hidden_layers)]
    is_token = expected["input_mask"] == 1
    for layer, their_layer in zip(layers, theirs, strict=True):
        assert np.abs(layer - their_layer)[is_token].max() < TOLERANCE
    if "pooled_output" in expected:
        assert np.abs(pooled - expected["pooled_output"]).max() < TOLERANCE


def test_their_names_are_written_again(golden, name, tmp_path):
    folder = str(golden / "families" / name)
    family = config_of(golden, name).family
    write_weights(folder, str(tmp_path / "model.ckpt"), family.google)
    theirs = dict(tf.train.list_variables(f"{folder}/model.ckpt"))
    assert dict(tf.train.list_variables(str(tmp_path / "model.ckpt"))) == theirs
    for key in theirs:
        before = tf.train.load_variable(f"{folder}/model.ckpt", key)
        assert np.array_equal(tf.train.load_variable(str(tmp_path / "model.ckpt"), key), before)
    check_weights(config_of(golden, name), folder)


def test_what_electra_was_pretrained_with_is_left_out(tmp_path):
    pretraining = ["generator/encoder/layer_0/output/dense/bias", "discriminator_predictions/dense/bias"]
    with tf.Graph().as_default(), v1.Session() as session:
        for key in ["electra/embeddings/LayerNorm/beta", *pretraining]:
            v1.get_variable(key, [4])
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), write_meta_graph=False)
    assert set(left_out(str(tmp_path))) == set(pretraining)
    assert list(checkpoint_variables(str(tmp_path))) == ["bert/embeddings/LayerNorm/beta"]


def test_a_generator_is_refused(tmp_path):
    names = ["electra.embeddings.word_embeddings.weight", "generator_predictions.dense.weight"]
    save_file({key: np.zeros([2, 2], np.float32) for key in names}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as refused:
        checkpoint_variables(str(tmp_path))
    assert str(refused.value).startswith(f"{tmp_path / 'model.safetensors'}: is a generator of ELECTRA, which ")


def test_a_configuration_of_another_family_is_told(golden):
    folder = golden / "families" / "electra"
    settings = json.loads((folder / "electra_config.json").read_text())
    del settings["embedding_size"]
    with pytest.raises(CheckpointError) as refused:
        check_weights(BertConfig.from_dict(settings), str(folder))
    assert str(refused.value) == (
        f"{folder / 'model.ckpt'}: its variables have the names of Electra, but the model configuration is of Bert; "
        'give the configuration of the checkpoint, with "model_type": "electra"'
    )
