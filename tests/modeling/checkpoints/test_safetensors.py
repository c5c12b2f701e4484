"""Weights in the safetensors format: valid as its own library says, in one file or several."""

import json
import shutil
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import modeling
from common.errors import CheckpointError
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.safetensors import INDEX


def refusal(call, *arguments):
    with pytest.raises(CheckpointError) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def entry(shape=(2,), begin=0, end=8, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def content(header, data=bytes(8)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (content({"a": entry()}, bytes(9)), "has bytes that no tensor covers: found 78 bytes, expected 77 bytes"),
        (content({"a": entry()}, bytes(7)), "truncated: found 76 bytes, expected 77 bytes"),
        (content({"a": entry(), "b": entry(begin=4, end=12)}, bytes(12)), "invalid offset for tensor `b`"),
        (content({"a": entry(), "b": entry(begin=12, end=20)}, bytes(20)), "invalid offset for tensor `b`"),
        (content({"a": entry([-2])}), "integer `-2`, expected usize"),
        (content({"a": entry([3])}), "invalid shape, data type, or offset for tensor"),
        (content({"a": entry([1 << 40, 1 << 40])}), "overflow computing buffer size"),
        (content({"a": entry(dtype="FLOAT")}), "unknown variant `FLOAT`"),
        (content({"a": {"dtype": "F32", "shape": [2]}}), "missing field `data_offsets`"),
        (content({"a": 5}), "invalid type: integer `5`"),
        (content([1]), "invalid type: sequence"),
        (content({"__metadata__": {"a": 1}, "a": entry()}), "expected a string"),
        (content({"": entry()}), "holds a tensor without a name; write the file again without it"),
        (content(b"[" * 100_000, b""), "cannot be read as safetensors: "),
        (content(b'{"\xff": 1}'), "invalid UTF-8 in header"),
        (content(b"", b""), "cannot be read as safetensors: "),
        (struct.pack("<Q", 1 << 60) + b"abc", "header too large"),
        (b"", "header too small"),
    ],
    ids=range(18),
)
def test_what_the_format_forbids_is_one_line(tmp_path, written, told):
    path = tmp_path / "model.safetensors"
    path.write_bytes(written)
    message = refusal(modeling.checkpoint_variables, path)
    assert message.startswith(f"{path}: ")
    assert told in message


@pytest.fixture
def sharded(shared, tmp_path):
    """A folder with the weights of a tiny model in two files, and the tensors."""
    source = shared / "data" / "checkpoints" / "hf-tiny-bert-safetensors"
    folder = tmp_path / "sharded"
    folder.mkdir()
    shutil.copy(source / "config.json", folder)
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    file_of = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(names)}
    for file in set(file_of.values()):
        save_file({name: tensors[name] for name in names if file_of[name] == file}, folder / file)
    write_index(folder, {"metadata": {"total_size": 1}, "weight_map": file_of})
    return folder, source, file_of


def write_index(folder, described):
    (folder / f"model{INDEX}").write_text(described if isinstance(described, str) else json.dumps(described))


def test_weights_in_several_files_are_those_of_one(sharded):
    folder, source, _ = sharded
    index = str(folder / f"model{INDEX}")
    assert locate_checkpoint(folder).path == locate_checkpoint(index).path == index
    shapes = modeling.checkpoint_variables(folder)
    assert shapes == modeling.checkpoint_variables(source)
    for name in shapes:
        np.testing.assert_array_equal(modeling.read_tensor(folder, name), modeling.read_tensor(source, name))


def test_one_file_is_preferred_where_several_are_there(sharded):
    folder, source, _ = sharded
    shutil.copy(source / "model.safetensors", folder)
    (folder / "bert_model.ckpt.index").write_text("")
    (folder / "pytorch_model.bin").write_text("")
    assert locate_checkpoint(folder).path == str(folder / "model.safetensors")


def test_an_index_that_contradicts_its_files(sharded):
    folder, _, file_of = sharded
    first, second = sorted(set(file_of.values()))
    name = min(file_of)
    other = {first: second, second: first}[file_of[name]]
    cases = [
        ("{", "is not JSON ("),
        ("[]", "holds a JSON array, expected an object; download the file again"),
        ("[" * 100_000, "is nested too deeply"),
        ({}, "has no weight_map"),
        ({"weight_map": [1]}, "has no weight_map"),
        ({"weight_map": file_of | {name: "../x.safetensors"}}, f"names '../x.safetensors' for {name}, expected a"),
        ({"weight_map": file_of | {name: 5}}, f"names 5 for {name}, expected a .safetensors file in the same folder"),
        ({"weight_map": file_of | {"x": first}}, f"says that {first} holds x, which it does not"),
        ({"weight_map": file_of | {name: other}}, f"says that {other} holds {name}, which it does not"),
    ]
    for described, told in cases:
        write_index(folder, described)
        message = refusal(modeling.checkpoint_variables, folder)
        assert message.startswith(f"{folder / f'model{INDEX}'}: ")
        assert told in message
    write_index(folder, {"weight_map": file_of})
    shutil.copy(folder / first, folder / second)
    assert f"{first} and {second} both hold " in refusal(modeling.checkpoint_variables, folder)
    (folder / second).unlink()
    assert refusal(modeling.checkpoint_variables, folder) == f"{folder / second}: no such file; copy or download it"
