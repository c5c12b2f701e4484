"""Weights of Hugging Face's TensorFlow classes: the same tensors as in the files of its PyTorch classes."""

import contextlib
import gzip
import json
import random
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

import convert_checkpoint
from common.errors import CheckpointError
from modeling.checkpoints import restore
from modeling.checkpoints.hdf5 import HDF5Tensors, torch_name
from modeling.checkpoints.locate import locate_checkpoint
from tests.support import tiny

DATA = Path(__file__).resolve().parents[2] / "data" / "families"
FOLDERS = sorted(path.parent for path in DATA.glob("*/*/tf_model.h5.gz"))


def unpacked(folder: Path, target: Path) -> Path:
    for path in folder.glob("tf_model*.gz"):
        (target / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
    return target


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as raised:
        HDF5Tensors(str(path))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def small(tmp_path):
    """A file as Keras writes it, with a layer."""
    path = tmp_path / "tf_model.h5"
    with h5py.File(path, "w") as file:
        layer = file.create_group("bert")
        layer.attrs["weight_names"] = ["tf_bert_model/bert/pooler/dense/kernel:0"]
        layer["tf_bert_model/bert/pooler/dense/kernel:0"] = np.arange(6, dtype=np.float32).reshape(2, 3)
    return path


def test_every_family_has_files():
    assert {folder.parent.name for folder in FOLDERS} == {folder.name for folder in DATA.iterdir() if folder.is_dir()}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_tensors_are_those_of_the_other_file(folder, tmp_path):
    unpacked(folder, tmp_path)
    shapes = restore.checkpoint_variables(str(tmp_path))
    assert shapes == restore.checkpoint_variables(str(folder))
    expected = dict(restore.read_tensors(str(folder), shapes))
    for name, value in restore.read_tensors(str(tmp_path), shapes):
        np.testing.assert_array_equal(value, expected[name])
    assert all(reason.startswith("a copy of ") for reason in restore.left_out(str(tmp_path)).values())


def test_several_files(tmp_path):
    unpacked(DATA / "bert" / "shards", tmp_path)
    assert locate_checkpoint(tmp_path).path == str(tmp_path / "tf_model.h5.index.json")
    source = str(DATA / "bert" / "BertForMaskedLM")
    shapes = restore.checkpoint_variables(source)
    assert restore.checkpoint_variables(str(tmp_path)) == shapes
    expected = dict(restore.read_tensors(source, shapes))
    assert all(np.array_equal(value, expected[name]) for name, value in restore.read_tensors(str(tmp_path), shapes))
    (tmp_path / "tf_model-00002-of-00003.h5").unlink()
    with pytest.raises(CheckpointError, match=r"tf_model-00002-of-00003\.h5: no such file"):
        restore.checkpoint_variables(str(tmp_path))


def test_a_folder_converts_to_the_other_format(tmp_path, run_script):
    source = DATA / "bert" / "BertForSequenceClassification"
    folder = unpacked(source, tmp_path)
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS), encoding="utf-8")
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={folder}", f"--output_dir={tmp_path / 'new'}",
        "--format=huggingface",
    )  # fmt: skip
    assert code == 0, err
    given, found = load_file(source / "model.safetensors"), load_file(tmp_path / "new" / "model.safetensors")
    assert given.keys() == found.keys()
    assert all(np.array_equal(given[name], found[name]) for name in given)
    assert json.loads((tmp_path / "new" / "config.json").read_text())["id2label"]["1"] == "maybe"


def test_other_files_of_the_folder_go_first(small):
    assert locate_checkpoint(small.parent).path == str(small)
    (small.parent / "pytorch_model.bin").write_bytes(b"")
    assert locate_checkpoint(small.parent).path.endswith("pytorch_model.bin")
    (small.parent / "model.safetensors").write_bytes(b"")
    assert locate_checkpoint(small.parent).path.endswith("model.safetensors")


def test_names_of_every_age():
    bare = "bert.encoder.layer.3.attention.self.query.weight"
    for name in ("tf_bert_model", "tf_bert_for_pre_training_2", "my/tf_bert_model_1"):
        assert torch_name(f"{name}/bert/encoder/layer_._3/attention/self/query/kernel:0") == bare
    assert torch_name("tf_bert_for_pre_training/mlm___cls/predictions/bias:0") == "cls.predictions.bias"
    assert torch_name("tf_bert_model/bert/embeddings/LayerNorm/gamma:0") == "bert.embeddings.LayerNorm.weight"
    table = "albert.embeddings.position_embeddings.weight"
    assert torch_name("albert/embeddings/position_embeddings/embeddings:0") == table


@pytest.mark.parametrize(
    "path",
    [
        "tf_bert_model/bert/pooler/dense/kernel:0",  # a layer that Keras has not split
        "tf_bert_model/tf_bert_model/bert/pooler/dense/kernel:0",  # inside a model of the user's
        "bert/my_model/bert/pooler/dense/kernel:0",  # under a name of the user's
        "bert/bert/pooler/dense/kernel:0",
    ],
)
def test_what_a_layer_stands_under(path, tmp_path):
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file[path] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file[path.partition("/")[0]].attrs["weight_names"] = [path.partition("/")[2]]
    found = HDF5Tensors(str(tmp_path / "tf_model.h5"))
    assert list(found) == ["bert.pooler.dense.weight"]
    assert found.shape_of("bert.pooler.dense.weight") == (3, 2)
    np.testing.assert_array_equal(found.read("bert.pooler.dense.weight"), [[0, 3], [1, 4], [2, 5]])


def test_half_precision(tmp_path):
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file["bert/pooler/dense/bias:0"] = np.array([0.5, 2], np.float16)
    found = HDF5Tensors(str(tmp_path / "tf_model.h5")).tensor("bert.pooler.dense.bias", "bert/pooler/dense/bias")
    assert (found.dtype, found.tolist()) == (np.float32, [0.5, 2])


def test_what_cannot_be_read(small, tmp_path):
    content = small.read_bytes()
    for length in (0, 7, len(content) // 2):
        small.write_bytes(content[:length])
        assert refusal(small).startswith(f"{small}: cannot be read as Keras weights (")
    with h5py.File(small, "w"):
        pass
    assert refusal(small) == f"{small}: holds no weights; copy or download it again"


def test_two_values_of_one_name(small):
    with h5py.File(small, "a") as file:
        layer = file.create_group("lm_head")
        layer.attrs["weight_names"] = ["tf_bert_model/bert/pooler/dense/kernel:0"]
        layer["tf_bert_model/bert/pooler/dense/kernel:0"] = np.zeros([2, 3], np.float32)
    assert "bert.pooler.dense.weight stands in it twice with different values" in refusal(small)


def test_nothing_outside_the_file_is_read(small, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(8))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["other"] = np.ones(2, np.float32)
    with h5py.File(small, "a") as file:
        file["bert/link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "other")
    assert list(HDF5Tensors(str(small))) == ["bert.pooler.dense.weight"]
    with h5py.File(small, "a") as file:
        file.create_dataset("bert/x/bias:0", [2], np.float32, external=[(str(secret), 0, 8)])
    assert "bert/x/bias:0 is no array of numbers of this file" in refusal(small)


def test_damaged_bytes_raise_nothing_else(small):
    content, chance = small.read_bytes(), random.Random(5)
    for _ in range(200):
        damaged = bytearray(content)
        for place in chance.sample(range(len(content)), 3):
            damaged[place] = chance.randrange(256)
        small.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            found = HDF5Tensors(str(small))
            for name in found:
                found.read(name)
