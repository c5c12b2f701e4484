"""Checkpoints without a configuration: ELECTRA's as its owner leaves them, and TensorFlow Hub's modules."""

import numpy as np
import pytest
import tensorflow as tf

import convert_checkpoint
from common.errors import CheckpointError
from modeling.checkpoints.restore import (
    checkpoint_variables,
    initialize_from_checkpoint,
    read_tensor,
    read_tensors,
    write_weights,
)
from modeling.checkpoints.sizes import config_of_weights
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from tests.support import tiny

v1 = tf.compat.v1
SIZES = {
    "vocab_size": len(tiny.TOKENS), "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 20, "max_position_embeddings": 12, "type_vocab_size": 2,
}  # fmt: skip
BERT = BertConfig(**SIZES)
ELECTRA = BertConfig(**SIZES, model_type="electra", hidden_act="gelu_erf", embedding_size=16)


def write(config: BertConfig, prefix, scope: str = "") -> None:
    """A random encoder under its owner's names; those of a loaded module begin with `scope`."""
    with tf.Graph().as_default(), v1.Session() as session:
        BertModel(config, False, tf.zeros([1, 4], tf.int32))
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver({scope + one.op.name: one for one in v1.global_variables()})
        saver.save(session, f"{prefix}-ours", write_meta_graph=False)
    if scope:
        for path in prefix.parent.glob("*-ours.*"):
            path.rename(str(path).replace("-ours", ""))
        return
    write_weights(f"{prefix}-ours", str(prefix), config.family.google)
    for path in prefix.parent.glob("*-ours.*"):
        path.unlink()
    (prefix.parent / "checkpoint").unlink()


@pytest.fixture(scope="module")
def electra(tmp_path_factory):
    folder = tmp_path_factory.mktemp("electra")
    write(ELECTRA, folder / "electra_small")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    return folder


def test_sizes_of_electra_are_read_off_its_weights(electra, tmp_path, run_script):
    assert config_of_weights(str(electra)) == ELECTRA
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={electra}", f"--output_dir={tmp_path / 'hf'}",
        "--format=huggingface",
    )  # fmt: skip
    assert code == 0, err
    assert "comes without a configuration: taken for Electra, sizes from its weights (vocab_size 30, emb" in err
    assert "and 2 attention heads of width 64, as published models have; give --bert_config_file for another" in err
    assert BertConfig.from_json_file(tmp_path / "hf" / "config.json") == ELECTRA


@pytest.mark.parametrize("scope", ["", "module/"])
def test_a_module_of_tensorflow_hub_is_a_checkpoint(tmp_path, run_script, scope):
    folder = tmp_path / "module"
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    for name in ("tfhub_module.pb", "saved_model.pb"):
        (folder / name).write_bytes(b"")
    write(BERT, folder / "variables" / "variables", scope)
    (folder / "assets" / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    assert config_of_weights(str(folder)) == BERT
    code, out, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={folder}", f"--output_dir={tmp_path / 'tf'}", "--format=tensorflow"
    )
    assert code == 0, err
    assert "no counterpart" not in out
    name = "bert/embeddings/LayerNorm/beta"
    assert (read_tensor(str(tmp_path / "tf"), name) == read_tensor(str(folder), name)).all()
    assert (tmp_path / "tf" / "vocab.txt").is_file()


def test_another_saved_model_needs_its_configuration(tmp_path, run_script):
    folder = tmp_path / "export"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    write(BERT, folder / "variables" / "variables")
    assert len(checkpoint_variables(str(folder))) > 30
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={folder}", f"--output_dir={tmp_path / 'tf'}", "--format=tensorflow"
    )
    assert code == 2
    assert "--bert_config_file is missing" in err


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as raised:
        config_of_weights(str(folder))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_shapes_that_do_not_tell(electra, golden, tmp_path):
    assert "layers of Albert share weights, which do not tell how many layers there are; give --bert" in refusal(
        golden / "families" / "albert"
    )
    assert "its width of 24 is no multiple of 64" in refusal(golden / "families" / "electra")
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("electra/embeddings/word_embeddings", [4, 4])
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), write_meta_graph=False)
    assert "is no whole encoder, as it lacks bert/encoder/layer_0/attention/self/query/kernel" in refusal(tmp_path)


@pytest.mark.parametrize(
    "dtype", ["bfloat16", *(pytest.param(one, marks=pytest.mark.slow) for one in ("float16", "float64"))]
)
def test_weights_of_other_types_start_a_model(tmp_path, dtype):
    """Two data shards, with averages and slots, under the scope of a loaded module."""
    write(BERT, tmp_path / "plain")
    values = dict(read_tensors(str(tmp_path / "plain"), checkpoint_variables(str(tmp_path / "plain"))))
    kept = [(name, value.astype(tf.as_dtype(dtype).as_numpy_dtype)) for name, value in values.items()]
    with tf.Graph().as_default(), v1.Session() as session:
        parts = [str(tmp_path / f"part{index}") for index in range(2)]
        for index, part in enumerate(parts):
            tensors = {
                f"module/{name}{ending}": value if not ending else np.zeros_like(value)
                for name, value in kept[index::2]
                for ending in ("", "/ExponentialMovingAverage", "/adam_m")
            }
            names, constants = list(tensors), [tf.constant(value) for value in tensors.values()]
            session.run(
                tf.raw_ops.SaveV2(
                    prefix=part, tensor_names=names, shape_and_slices=[""] * len(names), tensors=constants
                )
            )
        prefix = str(tmp_path / "model.ckpt")
        session.run(tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix))
    assert len(list(tmp_path.glob("model.ckpt.data-0000?-of-00002"))) == 2
    with tf.Graph().as_default(), v1.Session() as session:
        BertModel(BERT, False, tf.zeros([1, 4], tf.int32))
        report = initialize_from_checkpoint(v1.trainable_variables(), prefix)
        assert (report.new, report.unused) == ((), ())
        session.run(v1.global_variables_initializer())
        found = session.run({one.op.name: one for one in v1.trainable_variables()})
    for name, value in kept:
        np.testing.assert_array_equal(found[name], value.astype(np.float32))
    write_weights(prefix, str(tmp_path / "copy"))
    assert read_tensor(str(tmp_path / "copy"), kept[0][0]).dtype == np.float32
    assert set(checkpoint_variables(str(tmp_path / "copy"))) == set(values)
