"""PyTorch's pickles are read without PyTorch, and nothing that they name is run."""

import collections
import contextlib
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import CheckpointError
from modeling.checkpoints import restore
from modeling.checkpoints.pickles import PickledTensors
from modeling.checkpoints.weight_files import weight_files

DATA = Path(__file__).resolve().parents[2] / "data"
FORMS = ("tensors.bin", "tensors-of-old.bin")


@pytest.mark.parametrize("form", FORMS)
def test_tensors_of_every_type_and_form(form):
    found = PickledTensors(str(DATA / "pickles" / form))
    expected = np.load(DATA / "pickles" / "tensors.npz")
    assert sorted(found) == sorted(expected)
    for name in found:
        assert found.shape_of(name) == expected[name].shape
        np.testing.assert_array_equal(found.read(name).astype(np.float32), expected[name])
    assert found.tensor("plain", "x/kernel").shape == (6, 4)


def test_a_folder_of_pickles_is_a_checkpoint(tmp_path):
    source = DATA / "families" / "bert" / "BertForQuestionAnswering"
    for name in ("config.json", "pytorch_model.bin"):
        shutil.copy((source if name == "config.json" else DATA / "pickles") / name, tmp_path / name)
    shapes = restore.checkpoint_variables(str(tmp_path))
    assert shapes == restore.checkpoint_variables(str(source))
    expected = dict(restore.read_tensors(str(source), shapes))
    for name, value in restore.read_tensors(str(tmp_path), shapes):
        np.testing.assert_array_equal(value, expected[name])
    shutil.copy(source / "model.safetensors", tmp_path)  # goes first
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert restore.checkpoint_variables(str(tmp_path)) == shapes


def test_shards_of_pickles(tmp_path):
    shutil.copy(DATA / "pickles" / "tensors.bin", tmp_path / "pytorch_model-00001-of-00001.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    names = sorted(np.load(DATA / "pickles" / "tensors.npz"))
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "pytorch_model-00001-of-00001.bin")}))
    (file,) = weight_files(str(index))
    assert sorted(file) == names
    index.write_text(json.dumps({"weight_map": {"plain": "model.safetensors"}}))
    assert "expected a .bin file in the same folder" in refusal(weight_files, index)
    index.write_text(json.dumps({"weight_map": {"plain": "gone.bin"}}))
    assert refusal(weight_files, index).startswith(f"{tmp_path / 'gone.bin'}: no such file")


def refusal(function, path) -> str:
    with pytest.raises(CheckpointError) as raised:
        function(str(path))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def read_all(path):
    found = PickledTensors(str(path))
    for name in found:
        found.read(name)


class Dangerous:
    def __reduce__(self):
        return (Path.touch, (Path("it_was_run"),))


def archive(path: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", content)
    return path


def test_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"weight": Dangerous()})
    for path in (archive(tmp_path / "model.bin", content), tmp_path / "plain.bin"):
        if path.name == "plain.bin":
            path.write_bytes(content)
        told = refusal(PickledTensors, path)
        assert told.startswith(f"{path}: cannot be read as PyTorch's weights (it names ")
        assert "which is no part of a tensor); copy or download it again, or save it as safetensors" in told
    assert not Path("it_was_run").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1], "it holds no dictionary of tensors"),
        ({}, "it holds no dictionary of tensors"),
        ({"epoch": 3}, "epoch is no tensor"),
        ({"model": collections.OrderedDict()}, "model is no tensor"),
        ({"": 1}, "a tensor has no name"),
    ],
)
def test_what_is_no_set_of_tensors_is_refused(tmp_path, content, told):
    assert told in refusal(PickledTensors, archive(tmp_path / "model.bin", pickle.dumps(content)))


def test_damaged_files_are_one_line(tmp_path):
    path = tmp_path / "model.bin"
    assert "cannot be read as PyTorch's weights" in refusal(PickledTensors, path)
    assert "is compressed" in refusal(PickledTensors, archive(path, pickle.dumps({"a" * 99: 1}), zipfile.ZIP_DEFLATED))
    for form in FORMS:
        whole = (DATA / "pickles" / form).read_bytes()
        for size in (0, 10, 200, len(whole) // 2):
            path.write_bytes(whole[:size])
            refusal(PickledTensors, path)
    cut = tmp_path / "cut.bin"
    cut.write_bytes((DATA / "pickles" / FORMS[1]).read_bytes()[:-4])
    assert "truncated" in refusal(read_all, cut)


def test_a_tensor_outside_of_its_storage_is_refused(tmp_path):
    whole = (DATA / "pickles" / FORMS[0]).read_bytes()
    source = zipfile.ZipFile(io.BytesIO(whole))
    path = tmp_path / "model.bin"
    with zipfile.ZipFile(path, "w") as file:
        for name in source.namelist():
            content = source.read(name)
            # The shape (4, 6) of a tensor becomes (200, 6).
            file.writestr(name, content.replace(b"K\x04K\x06\x86", b"K\xc8K\x06\x86") if "pkl" in name else content)
    assert "a tensor of shape (200, 6) lies outside of its 24 numbers" in refusal(PickledTensors, path)


@pytest.mark.parametrize("form", FORMS)
def test_property_a_changed_byte_never_escapes(form, tmp_path):
    whole = (DATA / "pickles" / form).read_bytes()
    path = tmp_path / "model.bin"

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(whole) - 1), st.integers(0, 255))
    def change(place, value):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        with contextlib.suppress(CheckpointError):
            read_all(path)

    change()
