"""Converted models follow TensorFlow Hub's API for text: a program with TensorFlow alone fine-tunes them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

import convert_checkpoint
from export import hub
from modeling.checkpoints.restore import read_tensor
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.families.registry import FAMILIES
from tests.support import tiny
from tests.support.families import DATA, model_folder

# Run where nothing of this project is imported.
PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text

folder = sys.argv[1]
expected = np.load(sys.argv[2])
encoder = hub.KerasLayer(folder + "/encoder", trainable=True)
ids = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}
mask = expected["attention_mask"]
fed = {theirs: tf.constant(expected.get(ours, np.zeros_like(mask)), tf.int32) for theirs, ours in ids.items()}
outputs = encoder(fed, training=False)
assert set(outputs) == {"pooled_output", "default", "sequence_output", "encoder_outputs"}, set(outputs)
last = expected[sys.argv[3] + "/hidden_" + str(len(outputs["encoder_outputs"]))]
assert np.abs(outputs["sequence_output"] - last)[mask == 1].max() < 1e-5
again = [encoder(fed, training=True)["pooled_output"].numpy() for _ in range(2)]
assert (np.abs(again[0] - again[1]).max() > 1e-3) == (sys.argv[5] == "drops"), "dropout is that of the configuration"
same = [encoder(fed, training=False)["pooled_output"].numpy() for _ in range(2)]
assert np.array_equal(*same)

preprocessor = hub.load(folder + "/preprocessor")
texts, labels = ["the film was good", "it was very bad", "a superb day", "bad food"] * 4, [1, 0, 1, 0] * 4
made = preprocessor(tf.constant(texts))
assert made["input_word_ids"].shape == (16, 16), made["input_word_ids"].shape
tokens = preprocessor.tokenize(tf.constant(texts))
longer = preprocessor.bert_pack_inputs([tokens, tokens], seq_length=tf.constant(12))
assert longer["input_word_ids"].shape == (16, 12)
special = preprocessor.tokenize.get_special_tokens_dict()
assert (made["input_word_ids"][:, 0] == special["start_of_sequence_id"]).numpy().all()
np.savez(folder + "/tokens.npz", values=tokens.values, splits=tokens.row_splits, **longer)

text = tf.keras.layers.Input(shape=(), dtype=tf.string)
encoded = encoder(hub.KerasLayer(preprocessor)(text))
means = tf.keras.layers.GlobalAveragePooling1D()(encoded["sequence_output"])
vectors = tf.keras.layers.Concatenate()([encoded["pooled_output"], means])
model = tf.keras.Model(text, tf.keras.layers.Dense(2)(vectors))
count = len(encoder.trainable_weights)
assert count == int(sys.argv[4]), count
model.compile(tf.keras.optimizers.Adam(3e-3), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
before = [weight.numpy() for weight in encoder.trainable_weights]
losses = model.fit(tf.constant(texts), tf.constant(labels), batch_size=16, epochs=150, verbose=0).history["loss"]
assert min(losses[-5:]) < 0.7 * losses[0], losses
assert sum(np.abs(weight.numpy() - old).max() > 0 for weight, old in zip(encoder.trainable_weights, before)) == count
print("fine-tuned", losses[0], losses[-1])
"""


def test_an_encoder_is_loaded_by_tensorflow_alone(tmp_path):
    config = BertConfig(vocab_size=len(tiny.TOKENS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ids = tf.constant([[2, 7, 8, 3], [2, 5, 3, 0]])
        mask = tf.minimum(ids, 1)
        model = BertModel(config, False, ids, mask, scope="bert")
        variables = tf.compat.v1.trainable_variables()
        session.run(tf.compat.v1.global_variables_initializer())
        weights, expected = session.run(
            ({one.op.name: one for one in variables}, (model.get_sequence_output(), model.get_pooled_output()))
        )
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    assert hub.write_encoder(config, weights.items(), tmp_path / "encoder", tmp_path / "vocab.txt", True)
    encoder = tf.saved_model.load(str(tmp_path / "encoder"))
    ids = tf.constant([[2, 7, 8, 3], [2, 5, 3, 0]])
    fed = {"input_word_ids": ids, "input_mask": tf.minimum(ids, 1), "input_type_ids": ids * 0}
    found = encoder(fed, training=False)
    np.testing.assert_allclose(found["sequence_output"], expected[0], atol=1e-6)
    np.testing.assert_allclose(found["default"], expected[1], atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(fed, training=True)["pooled_output"] ** 2)
    assert all(one is not None for one in tape.gradient(loss, encoder.trainable_variables))
    assert len(encoder.trainable_variables) == len(weights) == 23
    assert bool(encoder.do_lower_case)
    assert Path(encoder.vocab_file.asset_path.numpy().decode()).name == "vocab.txt"


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_a_program_fine_tunes_what_is_written(family, tmp_path, run_script):
    source = model_folder(family, tmp_path / "model")
    target = tmp_path / "hub"
    code, out, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={source}", f"--output_dir={target}", "--format=hub"
    )
    assert code == 0, err
    assert "SavedModels with TensorFlow Hub's API for text of" in out
    assert "left out: output_weights (the format has no heads)" in out
    has_preprocessor = family.tokenizer != "byte_bpe"
    assert (target / "preprocessor").is_dir() == has_preprocessor == ("no preprocessor: " not in out)
    weights = load_file(source / "model.safetensors")
    encoder = [name for name in weights if family.hugging_face.ours(name).startswith("bert/")]
    if has_preprocessor:
        title = f"{family.title}ForSequenceClassification"
        drops = "drops" if BertConfig.from_json_file(source / "config.json").hidden_dropout_prob else "drops nothing"
        expected = DATA / family.model_type / "expected.npz"
        found = subprocess.run(
            [sys.executable, "-c", PROGRAM, target, expected, title, str(len(encoder)), drops],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr[-3000:]
    # And back: the encoder is an --init_checkpoint.
    code, out, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={target / 'encoder'}", f"--output_dir={tmp_path / 'back'}",
        "--format=huggingface",
    )  # fmt: skip
    assert code == 0, err
    back = load_file(tmp_path / "back" / "model.safetensors")
    assert len(back) == len(encoder)
    # The layer before the classifier of some families is the pooler here, and has no name in an encoder alone.
    for name in family.hugging_face.all_ours(back):
        np.testing.assert_array_equal(read_tensor(str(tmp_path / "back"), name), read_tensor(str(source), name))
    assert json.loads((tmp_path / "back" / "config.json").read_text())["model_type"] == family.model_type


def test_inserted_layers_are_refused(tmp_path, run_script):
    source = model_folder(FAMILIES[0], tmp_path / "model")
    weights = load_file(source / "model.safetensors")
    for name in ("lora_a", "lora_b"):
        weights[f"bert/encoder/layer_0/attention/self/query/{name}"] = np.zeros([8, 2], np.float32)
    save_file(weights, source / "model.safetensors")
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'hub'}", "--format=hub"
    )
    assert code == 2
    assert "has variables in its encoder layers that this encoder does not compute" in err
    assert not (tmp_path / "hub").exists()


@pytest.mark.slow
def test_without_a_pooler_the_first_token_stands_for_the_text(tmp_path, run_script):
    family = next(one for one in FAMILIES if one.model_type == "electra")
    source = model_folder(family, tmp_path / "model")
    shutil.copy(DATA / "electra" / "ElectraForQuestionAnswering" / "model.safetensors", source)
    code, out, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'hub'}", "--format=hub"
    )
    assert code == 0, err
    assert "warning: the weights have no pooler: pooled_output is the vector of the first token" in out
    encoder = tf.saved_model.load(str(tmp_path / "hub" / "encoder"))
    ids = tf.constant([[2, 7, 8, 3]])
    fed = {"input_word_ids": ids, "input_mask": ids * 0 + 1, "input_type_ids": ids * 0}
    found = encoder(fed, training=False)
    np.testing.assert_array_equal(found["pooled_output"], found["sequence_output"][:, 0])
