"""Checkpoints of the Model Garden, and TF2 encoders of TensorFlow Hub, give the outputs of tf-models-official."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

import convert_checkpoint
import run_classifier
from common.errors import CheckpointError
from modeling.checkpoints.first_weights import check_weights
from modeling.checkpoints.object_based import OBJECT_GRAPH
from modeling.checkpoints.restore import (
    checkpoint_variables,
    initialize_from_checkpoint,
    left_out,
    read_tensor,
    verify_checkpoint,
)
from modeling.checkpoints.sizes import config_of_weights
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.heads.masked_lm import masked_lm_logits
from tests.support import tiny

v1 = tf.compat.v1
DATA = Path(__file__).resolve().parents[2] / "data" / "model_garden"
SIZES = {
    "vocab_size": len(tiny.TOKENS), "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 16, "type_vocab_size": 2,
}  # fmt: skip
CONFIGS = {
    "BertEncoder": BertConfig(**SIZES),
    "BertEncoderV2": BertConfig(**SIZES),
    "AlbertEncoder": BertConfig(**SIZES, model_type="albert", embedding_size=6, num_hidden_groups=1),
}


def compare(config, path, expected):
    """The encoder with the weights of a checkpoint gives the expected outputs."""
    mask = expected["input_mask"]
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = [tf.constant(expected[name]) for name in ("input_ids", "input_mask", "segment_ids")]
        ours = BertModel(config, False, *inputs, scope="bert")
        report = initialize_from_checkpoint(v1.trainable_variables(), str(path))
        session.run(v1.global_variables_initializer())
        sequence, pooled = session.run((ours.get_sequence_output(), ours.get_pooled_output()))
    assert report.new == ()
    assert np.abs(sequence - expected["sequence_output"])[mask == 1].max() < 1e-5
    assert np.abs(pooled - expected["pooled_output"]).max() < 1e-5
    return report


@pytest.mark.parametrize("name", CONFIGS)
def test_an_encoder_gives_the_same_outputs(name):
    report = compare(CONFIGS[name], DATA / name, np.load(DATA / name / "expected.npz"))
    assert report.unused == ()
    check_weights(CONFIGS[name], str(DATA / name))
    verify_checkpoint(str(DATA / name))
    if name == "AlbertEncoder":
        with pytest.raises(CheckpointError, match="do not tell how many layers there are; give --bert_config_file"):
            config_of_weights(str(DATA / name))
    else:
        assert config_of_weights(str(DATA / name)) == CONFIGS[name]  # the number of heads, too


def test_pretraining_with_heads_and_an_optimizer():
    folder = DATA / "BertPretrainerV2"
    config, expected = CONFIGS["BertEncoder"], np.load(folder / "expected.npz")
    inputs = np.load(DATA / "BertEncoder" / "expected.npz")
    with tf.Graph().as_default(), v1.Session() as session:
        fed = [tf.constant(inputs[name]) for name in ("input_ids", "input_mask", "segment_ids")]
        ours = BertModel(config, False, *fed, scope="bert")
        words = masked_lm_logits(ours, tf.constant(expected["positions"]), config)
        with v1.variable_scope("cls/seq_relationship"):
            weights, bias = v1.get_variable("output_weights", [2, 8]), v1.get_variable("output_bias", [2])
        order = tf.matmul(ours.get_pooled_output(), weights, transpose_b=True) + bias
        report = initialize_from_checkpoint(v1.trainable_variables(), str(folder))
        session.run(v1.global_variables_initializer())
        words, order = session.run((words, order))
    assert (report.new, report.unused) == ((), ())
    np.testing.assert_allclose(words, expected["mlm_logits"], atol=1e-5)
    np.testing.assert_allclose(order, expected["next_sentence"], atol=1e-5)
    reasons = left_out(str(folder))
    (pooler,) = (reason for name, reason in reasons.items() if name.startswith("pooler_transform/kernel"))
    assert pooler == "the pooler of the head is read in its place"
    assert sum(reason == "of the optimizer" for reason in reasons.values()) > 80


def test_a_real_one(shared):
    folder = shared / "data" / "checkpoints" / "tf2-bert-lite-tfr"
    config = BertConfig.from_json_file(folder / "bert_lite_config.json")
    check_weights(config, str(folder))
    assert config_of_weights(str(folder)) == config


@pytest.fixture
def module(tmp_path):
    """A folder as TensorFlow Hub has it, but for the graph, which nothing here reads."""
    folder = tmp_path / "module"
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    (folder / "assets" / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    reader = tf.train.load_checkpoint(str(DATA / "BertEncoderV2" / "ckpt-1"))
    graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))
    named = {one.full_name: one.checkpoint_key for node in graph.nodes for one in node.attributes}
    del named["save_counter"]
    variables = [tf.Variable(reader.get_tensor(key), name=name) for name, key in named.items()]
    root = tf.train.Checkpoint(variables=variables, do_lower_case=tf.Variable(True, trainable=False))
    root.write(str(folder / "variables" / "variables"))
    return folder


def test_a_module_brings_sizes_vocabulary_and_casing(module, tmp_path, run_script):
    code, out, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={module}", f"--output_dir={tmp_path / 'hf'}",
        "--format=huggingface",
    )  # fmt: skip
    assert code == 0, err
    assert "sizes from its weights (vocab_size 30, hidden_size 8, " in err
    assert "num_attention_heads 2); give --bert_config_file for another" in err
    assert "no counterpart" not in out
    assert "left out: Variable (do_lower_case) (a counter, or a setting)" in out
    assert BertConfig.from_json_file(tmp_path / "hf" / "config.json") == CONFIGS["BertEncoderV2"]
    assert json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())["do_lower_case"] is True
    name = "bert/encoder/layer_2/attention/output/dense/kernel"
    np.testing.assert_array_equal(read_tensor(str(tmp_path / "hf"), name), read_tensor(str(module), name))
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={module}", f"--output_dir={tmp_path / 'no'}",
        "--format=huggingface", "--nodo_lower_case",
    )  # fmt: skip
    assert code == 2
    assert f"--do_lower_case=false, but the module {module} says that its text is lower-cased; set" in err


def test_the_casing_of_a_module_of_tensorflow_1(tmp_path):
    from modeling.checkpoints.hub import stated_casing

    folder = tmp_path / "module"
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("bert/x", [2])
        session.run(v1.global_variables_initializer())
        casing, file = tf.constant(False), tf.constant("vocab.txt")
        signature = v1.saved_model.predict_signature_def({"text": file}, {"do_lower_case": casing, "vocab_file": file})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [], {"tokenization_info": signature})
        builder.save()
    assert stated_casing(folder) is False
    (folder / "saved_model.pb").write_bytes(b"\x01damaged")
    with pytest.raises(CheckpointError, match=r"saved_model\.pb: missing, truncated or damaged"):
        stated_casing(folder)


def test_variables_of_one_name_are_refused(tmp_path):
    root = tf.train.Checkpoint(a=tf.Variable([1.0], name="x/word_embeddings/embeddings"))
    root.b = tf.Variable([2.0], name="y/word_embeddings/embeddings")
    path = root.save(str(tmp_path / "ckpt"))
    with pytest.raises(CheckpointError, match="two of its variables are called y/word_embeddings/embeddings"):
        checkpoint_variables(path)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tf.train.Checkpoint(a=tf.Variable([1.0], name="a"), b=tf.Variable([1.0], name="a")).save(str(tmp_path / "c"))
    assert checkpoint_variables(path) == {"a": (1,), "b": (1,)}
    with pytest.raises(CheckpointError, match="none of the model's 55 encoder variables is in this checkpoint"):
        check_weights(CONFIGS["BertEncoder"], path)


def test_damaged_files_are_one_line(tmp_path):
    for file in (DATA / "BertEncoder").glob("ckpt-1.*"):
        shutil.copy(file, tmp_path)
    path = str(tmp_path / "ckpt-1")
    for file in tmp_path.glob("ckpt-1.*"):
        content = file.read_bytes()
        for length in random.Random(4).sample(range(len(content)), 8):
            file.write_bytes(content[:length])
            with pytest.raises(CheckpointError) as raised:
                verify_checkpoint(path)
            assert "\n" not in str(raised.value)
        file.write_bytes(content)
    verify_checkpoint(path)


@pytest.mark.slow
def test_an_exported_module_is_fine_tuned(tmp_path, run_script):
    """The Model Garden's own exporter writes the module."""
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    module = tmp_path / "module"
    subprocess.run([sys.executable, DATA / "make.py", module], check=True)
    compare(CONFIGS["BertEncoder"], module, np.load(tmp_path / "expected.npz"))
    data = tiny.write_table(tmp_path / "data", train=16, dev=8)
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12",
        f"--data_dir={data}", f"--init_checkpoint={module}", f"--output_dir={tmp_path / 'run'}", "--train_batch_size=8",
        "--num_train_epochs=1", "--do_train", "--do_eval", "--do_export",
    )  # fmt: skip
    assert code == 0, err
    assert "new: output_weights, output_bias" in err
