"""Checkpoints: where they are, what they hold, what fits, and a message for everything that does not."""

import dataclasses
import json
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

import modeling
from common.errors import CheckpointError
from modeling import BertConfig, BertModel, ClassificationHead, initialize_from_checkpoint
from modeling.checkpoints.first_weights import check_weights
from modeling.checkpoints.locate import find_beside, locate_checkpoint
from modeling.checkpoints.restore import left_out, write_weights
from modeling.families import bert

tf1 = tf.compat.v1


@pytest.fixture
def tiny(golden, tmp_path):
    """A copy of a checkpoint in Google's names that tests may damage."""
    folder = tmp_path / "tiny"
    shutil.copytree(golden / "tiny", folder)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o755)
    return folder


@pytest.fixture
def hf_tiny(shared, tmp_path):
    """A copy of a checkpoint in Hugging Face's names."""
    folder = tmp_path / "hf"
    shutil.copytree(shared / "data" / "checkpoints" / "hf-tiny-bert-safetensors", folder)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o755)
    return folder


def restore(config, checkpoint, head=None):
    """Report and values of a model that starts from a checkpoint."""
    with tf.Graph().as_default(), tf1.Session() as sess:
        encoder = BertModel(config, False, tf.zeros([1, 4], tf.int32))
        if head:
            head.logits(encoder, {}, is_training=False)
        report = initialize_from_checkpoint(tf1.trainable_variables(), checkpoint)
        sess.run(tf1.global_variables_initializer())
        return report, {v.op.name: sess.run(v) for v in tf1.trainable_variables()}


def refusal(call, *arguments):
    with pytest.raises(CheckpointError) as excinfo:
        call(*arguments)
    message = str(excinfo.value)
    assert "\n" not in message
    return message


def config_of(folder):
    return BertConfig.from_json_file(find_beside(folder).config_file)


def test_every_way_to_name_a_checkpoint(tiny):
    prefix = str(tiny / "bert_model.ckpt")
    for path in (tiny, prefix, prefix + ".index", prefix + ".data-00000-of-00001"):
        location = locate_checkpoint(path)
        assert (location.path, location.is_hugging_face) == (prefix, False)


def test_a_directory_without_its_checkpoint_file(tiny):
    (tiny / "checkpoint").unlink()
    assert locate_checkpoint(tiny).path == str(tiny / "bert_model.ckpt")
    shutil.copy(tiny / "bert_model.ckpt.index", tiny / "model.ckpt-7.index")
    assert refusal(locate_checkpoint, tiny) == (
        f"{tiny}: 2 checkpoints are there: bert_model.ckpt.index, model.ckpt-7.index; name the one to use"
    )


def test_a_directory_that_was_moved(tiny):
    (tiny / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/bert_model.ckpt"\n')
    assert locate_checkpoint(tiny).path == str(tiny / "bert_model.ckpt")
    (tiny / "checkpoint").write_text("nothing of use")
    assert locate_checkpoint(tiny).path == str(tiny / "bert_model.ckpt")


@pytest.mark.parametrize("content", [b"", b"\xff", b'model_checkpoint_path: "\xff"'])
def test_a_checkpoint_file_that_names_nothing_leaves_the_choice_to_the_files(tiny, content):
    (tiny / "checkpoint").write_bytes(content)
    assert locate_checkpoint(tiny).path == str(tiny / "bert_model.ckpt")
    shutil.copy(tiny / "bert_model.ckpt.index", tiny / "model.ckpt-7.index")
    assert "2 checkpoints are there" in refusal(locate_checkpoint, tiny)


def test_a_checkpoint_file_that_names_a_missing_one_is_no_choice_of_another(tiny):
    (tiny / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-20"\n')
    assert refusal(locate_checkpoint, tiny) == (
        f"{tiny}: its file checkpoint names model.ckpt-20, whose .index file is not there; copy it back, or name the "
        "checkpoint to use: bert_model.ckpt.index"
    )


def test_a_name_that_is_a_pattern(tiny, tmp_path):
    folder = tiny.rename(tmp_path / "tiny[1]")
    report, _ = restore(config_of(folder), folder)
    assert (len(report.restored), report.source) == (39, str(folder / "bert_model.ckpt"))
    for path in folder.glob("bert_model.ckpt*"):
        path.rename(folder / path.name.replace("model", "model[1]"))
    assert refusal(restore, config_of(folder), f"{folder}/bert_model[1].ckpt").endswith(
        "TensorFlow reads no checkpoint whose name has *, ?, [, ] or a backslash; rename its files"
    )


def test_a_directory_that_was_copied_reads_its_own_weights(tiny, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(tiny, copied)
    (copied / "checkpoint").write_text(f'model_checkpoint_path: "{tiny / "bert_model.ckpt"}"\n')
    assert locate_checkpoint(copied).path == str(copied / "bert_model.ckpt")


def test_hugging_face_directory_and_file(hf_tiny):
    for path in (hf_tiny, hf_tiny / "model.safetensors"):
        location = locate_checkpoint(path)
        assert (location.path, location.is_hugging_face) == (str(hf_tiny / "model.safetensors"), True)


def test_buckets_are_looked_into_by_tensorflow(tiny):
    with tf.io.gfile.GFile("ram://folder/bert_model.ckpt.index", "w") as handle:
        handle.write("")
    assert locate_checkpoint("ram://folder/bert_model.ckpt").path == "ram://folder/bert_model.ckpt"
    assert locate_checkpoint("ram://folder").path == "ram://folder/bert_model.ckpt"
    assert find_beside("ram://folder/bert_model.ckpt").vocab_file is None


def test_nothing_there(tmp_path, tiny):
    missing = tmp_path / "nowhere" / "model.ckpt"
    assert refusal(locate_checkpoint, missing) == (
        f"{missing}: no checkpoint there; looked for {missing}.index; the directory {missing.parent} does not exist"
    )
    assert refusal(locate_checkpoint, tiny / "bert.ckpt").endswith(f"{tiny} holds bert_model.ckpt.index")
    assert refusal(locate_checkpoint, tiny / "a.safetensors").split("; ")[1] == f"looked for {tiny / 'a.safetensors'}"
    assert refusal(locate_checkpoint, "").startswith("the checkpoint has an empty path")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(locate_checkpoint, empty) == (
        f"{empty}: no checkpoint in this directory; looked for a file named checkpoint, *.index, *.safetensors or "
        "pytorch_model.bin"
    )
    (empty / "flax_model.msgpack").write_text("")
    assert refusal(locate_checkpoint, empty).endswith("Flax weights cannot be read, convert them to safetensors")


def test_files_beside(tiny, hf_tiny):
    assert find_beside(tiny / "bert_model.ckpt").config_file == str(tiny / "bert_config.json")
    assert find_beside(tiny).vocab_file is None
    assert find_beside(hf_tiny / "model.safetensors").config_file == str(hf_tiny / "config.json")
    assert find_beside(hf_tiny).vocab_file == str(hf_tiny / "vocab.txt")


def test_restoring_reports_both_directions(tiny):
    config = config_of(tiny)
    report, values = restore(config, tiny, ClassificationHead(2))
    assert (len(report.restored), report.new, report.source) == (41, (), str(tiny / "bert_model.ckpt"))
    assert report.summary() == (
        "restored 41/41; unused: cls/predictions/* (5), cls/seq_relationship/* (2), cls/squad/* (2)"
    )
    for name, value in values.items():
        np.testing.assert_array_equal(value, modeling.read_tensor(tiny, name))


def test_new_variables_keep_their_initial_values(hf_tiny):
    report, values = restore(config_of(hf_tiny), hf_tiny, ClassificationHead(3))
    pooler = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")
    assert report.new == (*pooler, "output_weights", "output_bias")
    assert report.summary() == "restored 37/41; new: bert/pooler/* (2), output_weights, output_bias"
    assert 0 < abs(values["output_weights"]).max() <= 0.04


def test_optimizer_slots_are_not_unused_variables(shared):
    folder = shared / "data" / "checkpoints" / "tf1-keras-bert-toy"
    report, _ = restore(config_of(folder), folder)
    assert report.summary() == "restored 39/39; unused: cls/predictions/* (5), cls/seq_relationship/* (2)"
    assert any(name.endswith("adam_m") for name in modeling.checkpoint_variables(folder))


def test_many_names_make_one_short_line():
    names = [f"bert/encoder/layer_{layer}/{part}" for layer in range(12) for part in ("a", "b")]
    report = modeling.RestoreReport("c", (), (), tuple(names))
    assert report.summary() == (
        "restored 0/0; unused: " + ", ".join(f"bert/encoder/layer_{layer}/* (2)" for layer in range(6)) + ", and 6 more"
    )


def test_hugging_face_weights_arrive_in_googles_places(hf_tiny):
    from safetensors.numpy import load_file

    theirs = load_file(hf_tiny / "model.safetensors")
    _, ours = restore(config_of(hf_tiny), hf_tiny)
    name = "encoder.layer.1.intermediate.dense.weight"
    np.testing.assert_array_equal(ours["bert/encoder/layer_1/intermediate/dense/kernel"], theirs[name].T)
    np.testing.assert_array_equal(ours["bert/embeddings/LayerNorm/gamma"], theirs["embeddings.LayerNorm.weight"])
    shape = modeling.checkpoint_variables(hf_tiny)["bert/encoder/layer_1/intermediate/dense/kernel"]
    assert shape == (32, 64)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("bert.embeddings.word_embeddings.weight", "bert/embeddings/word_embeddings"),
        ("embeddings.LayerNorm.gamma", "bert/embeddings/LayerNorm/gamma"),
        ("bert.encoder.layer.11.attention.self.key.bias", "bert/encoder/layer_11/attention/self/key/bias"),
        ("encoder.layer.0.output.LayerNorm.bias", "bert/encoder/layer_0/output/LayerNorm/beta"),
        ("encoder.layer.0.attention.output.LayerNorm.beta", "bert/encoder/layer_0/attention/output/LayerNorm/beta"),
        ("bert.pooler.dense.weight", "bert/pooler/dense/kernel"),
        ("cls.predictions.transform.dense.weight", "cls/predictions/transform/dense/kernel"),
        ("cls.predictions.transform.LayerNorm.weight", "cls/predictions/transform/LayerNorm/gamma"),
        ("cls.predictions.bias", "cls/predictions/output_bias"),
        ("cls.seq_relationship.weight", "cls/seq_relationship/output_weights"),
        ("cls.seq_relationship.bias", "cls/seq_relationship/output_bias"),
        ("qa_outputs.weight", "cls/squad/output_weights"),
        ("qa_outputs.bias", "cls/squad/output_bias"),
        ("classifier.weight", "output_weights"),
        ("classifier.bias", "output_bias"),
        ("roberta.encoder.layer.0.output.dense.weight", None),
    ],
)
def test_names(theirs, ours):
    assert bert.FAMILY.hugging_face.ours(theirs) == ours


def test_heads_prefixes_and_half_precision(hf_tiny):
    import ml_dtypes
    from safetensors.numpy import load_file

    weights = load_file(hf_tiny / "model.safetensors")
    rng = np.random.default_rng(0)
    expected = rng.normal(size=[2, 32]).astype(np.float32)
    changed = {"bert." + name: value.astype(ml_dtypes.bfloat16) for name, value in weights.items()}
    changed["bert.embeddings.position_ids"] = np.arange(128)[np.newaxis]
    changed["classifier.weight"] = expected.astype(np.float16)
    changed["classifier.bias"] = np.ones(2, np.float64)
    changed["cls.predictions.decoder.weight"] = weights["embeddings.word_embeddings.weight"]
    save_file(changed, hf_tiny / "model.safetensors")
    report, values = restore(config_of(hf_tiny), hf_tiny, ClassificationHead(2))
    assert report.unused == ()
    np.testing.assert_allclose(values["output_weights"], expected, rtol=1e-3)
    assert values["output_bias"].tolist() == [1.0, 1.0]
    kernel = values["bert/encoder/layer_0/output/dense/kernel"]
    np.testing.assert_allclose(kernel, weights["encoder.layer.0.output.dense.weight"].T, rtol=1e-2)
    assert kernel.dtype == np.float32


def test_a_replaced_file_is_converted_anew(hf_tiny):
    from safetensors.numpy import load_file

    config = config_of(hf_tiny)
    _, before = restore(config, hf_tiny)
    weights = load_file(hf_tiny / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, hf_tiny / "model.safetensors")
    _, after = restore(config, hf_tiny)
    for name in set(before) - {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}:
        np.testing.assert_allclose(after[name], before[name] + 1, rtol=1e-6)


def test_restoring_under_a_strategy(hf_tiny):
    with tf.Graph().as_default(), tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        BertModel(config_of(hf_tiny), False, tf.zeros([1, 4], tf.int32))
        initialize_from_checkpoint(tf1.trainable_variables(), hf_tiny)
        with tf1.Session() as sess:
            sess.run(tf1.global_variables_initializer())
            table = next(v for v in tf1.trainable_variables() if v.op.name.endswith("word_embeddings"))
            expected = modeling.read_tensor(hf_tiny, "bert/embeddings/word_embeddings")
            np.testing.assert_array_equal(sess.run(table), expected)


def test_assignment_map_as_upstream(tiny):
    with tf.Graph().as_default(), tf1.Session() as sess:
        wanted = tf1.get_variable("output_bias", [2])
        other = tf1.get_variable("mine", [2])
        assignment, names = modeling.get_assignment_map_from_checkpoint([wanted, other], str(tiny / "bert_model.ckpt"))
        assert dict(assignment) == {"output_bias": "output_bias"}
        assert names == {"output_bias": 1, "output_bias:0": 1}
        tf1.train.init_from_checkpoint(str(tiny), assignment)
        sess.run(tf1.global_variables_initializer())
        np.testing.assert_array_equal(sess.run(wanted), modeling.read_tensor(tiny, "output_bias"))


def test_unknown_tensor(tiny):
    message = refusal(modeling.read_tensor, tiny, "output_bia")
    assert message.startswith(f"{tiny / 'bert_model.ckpt'}: no variable output_bia, closest 'output_bias'")


def test_nothing_in_common_is_fatal(tiny):
    with tf.Graph().as_default():
        encoder = BertModel(config_of(tiny), False, tf.zeros([1, 4], tf.int32), scope="bert/other")
        ClassificationHead(2).logits(encoder, {}, is_training=False)
        message = refusal(initialize_from_checkpoint, tf1.trainable_variables(), tiny)
    assert message == (
        f"{tiny / 'bert_model.ckpt'}: none of the model's 39 encoder variables is in this checkpoint; the model has "
        "bert/other/embeddings/word_embeddings, bert/other/embeddings/token_type_embeddings, "
        "bert/other/embeddings/position_embeddings, ..., the checkpoint has bert/embeddings/LayerNorm/beta, "
        "bert/embeddings/LayerNorm/gamma, bert/embeddings/position_embeddings, ...; use a BERT checkpoint in Google's "
        "or Hugging Face's names"
    )


def test_another_shape_is_fatal(tiny):
    config = config_of(tiny)
    message = refusal(restore, config, tiny, ClassificationHead(3))
    assert message.startswith(
        f"{tiny / 'bert_model.ckpt'}: output_weights has shape (3, 16) in the model, (2, 16) in the checkpoint "
        "(and 1 more); "
    )
    config.intermediate_size = 64
    assert "intermediate/dense/kernel has shape (16, 64) in the model, (16, 32)" in refusal(restore, config, tiny)


def test_another_vocabulary_is_fatal(tiny):
    config = config_of(tiny)
    config.vocab_size = 30600
    assert refusal(restore, config, tiny) == (
        f"{tiny / 'bert_model.ckpt'}: its vocabulary has 30522 entries (bert/embeddings/word_embeddings), but "
        "vocab_size of the model configuration is 30600; use the configuration and the vocabulary file that came with "
        "the checkpoint"
    )


def test_truncated_data_is_found_before_training(tiny):
    config = config_of(tiny)
    data = tiny / "bert_model.ckpt.data-00000-of-00001"
    with data.open("r+b") as handle:
        handle.truncate(data.stat().st_size // 2)
    message = refusal(restore, config, tiny)
    assert message.startswith(f"{tiny / 'bert_model.ckpt'}: the .data file is missing, truncated or damaged (")
    data.unlink()
    assert ": the .data file is missing, truncated or damaged (" in refusal(restore, config, tiny)


def test_damaged_index(tiny):
    index = tiny / "bert_model.ckpt.index"
    for content in (index.read_bytes()[:100], b""):
        index.write_bytes(content)
        message = refusal(modeling.checkpoint_variables, tiny)
        assert message.startswith(f"{tiny / 'bert_model.ckpt'}: the .index file is missing, truncated or damaged (")


def test_damaged_safetensors(hf_tiny):
    path = hf_tiny / "model.safetensors"
    whole = path.read_bytes()
    header = json.dumps({"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}).encode()
    cases = [
        (whole[:-1], "truncated: found 121807 bytes, expected 121808 bytes; copy or download"),
        (whole[:100], "truncated: found 100 bytes, expected a header of "),
        (b"abc", "cannot be read as safetensors: "),
        (struct.pack("<Q", 3) + b"{x}", "cannot be read as safetensors: "),
        (struct.pack("<Q", 2) + b"[]", "cannot be read as safetensors: "),
        (struct.pack("<Q", len(header)) + header + bytes(8), "holds tensors of type C64, expected float weights"),
    ]
    for content, told in cases:
        path.write_bytes(content)
        assert refusal(modeling.checkpoint_variables, hf_tiny).startswith(f"{path}: {told}")


def saved(folder, tensors):
    """A TensorFlow checkpoint of arrays by name."""
    folder.mkdir()
    with tf.Graph().as_default(), tf1.Session() as session:
        values = [tf1.get_variable(f"v{index}", initializer=value) for index, value in enumerate(tensors.values())]
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(dict(zip(tensors, values, strict=True)))
        saver.save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    return folder


def held(folder):
    return {name: modeling.read_tensor(folder, name) for name in modeling.checkpoint_variables(folder)}


@pytest.mark.parametrize("suffixes", [
    ("AdamW/m", "AdamW/v"),
    *(pytest.param(suffixes, marks=pytest.mark.slow) for suffixes in (
        ("ExponentialMovingAverage",), ("BERTAdam", "BERTAdam_1"), ("Momentum",), ("lamb_m", "lamb_v"), ("vr", "vc"),
    )),
])  # fmt: skip
def test_slots_of_any_optimizer_are_no_variables(tiny, tmp_path, suffixes):
    weights = held(tiny)
    slots = {f"{name}/{suffix}": value for name, value in weights.items() for suffix in suffixes}
    scalars = {"good_steps": np.int64(7), "current_loss_scale": np.float32(1024.0)}
    folder = saved(tmp_path / "trained", {**weights, **slots, **scalars})
    report, values = restore(config_of(tiny), folder)
    assert report == dataclasses.replace(restore(config_of(tiny), tiny)[0], source=report.source)
    for name, value in values.items():
        np.testing.assert_array_equal(value, weights[name])
    check_weights(config_of(tiny), str(folder))
    write_weights(str(folder), str(tmp_path / "bert_model.ckpt"))
    assert modeling.checkpoint_variables(tmp_path).keys() == weights.keys()
    assert left_out(str(folder)) == dict.fromkeys(scalars, "a number that training in mixed precision goes on from")


@pytest.mark.parametrize(
    ("rename", "told"),
    [
        (lambda name: name.replace("LayerNorm", "layer_normalization"),
         "the names of tf.keras layers (bert/embeddings/layer_normalization/beta)"),
        (lambda name: name.replace("/layer_", "/layer_._"), "the names of Hugging Face's TensorFlow classes (bert/enc"),
        (lambda name: name.replace("bert/embeddings/word_embeddings", "Embedding-Token/embeddings"),
         "the names of keras-bert (Embedding-Token/embeddings)"),
    ],
)  # fmt: skip
def test_names_of_another_style_are_named_for_it(tiny, tmp_path, rename, told):
    folder = saved(tmp_path / "other", {rename(name): value for name, value in held(tiny).items()})
    message = refusal(restore, config_of(tiny), folder)
    assert message.startswith(f"{folder / 'bert_model.ckpt'}: its variables have {told}")
    assert "expected Google's (bert/embeddings/word_embeddings" in message
