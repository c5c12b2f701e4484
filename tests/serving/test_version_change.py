"""A newer export takes over: requests that are under way have one version, and none is refused for it."""

import asyncio
import json
import logging
import os
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import ExportError
from serving.metrics import Metrics
from serving.models import Served, Source
from serving.protocols.bert_sockets import BertSockets
from serving.settings import BatchLimits
from tests.support.instant import CHOICES, VECTORS, InstantModels


def vector(mark):
    return lambda row: {"vector": [mark, 1.0], "num_tokens": 3, "all_tokens": 3}


def choice(row):
    return {"index": 0, "answer": row["choices"][0], "probability": 1.0, "choices": []}


def tensor(name, data, shape):
    return {"name": name, "datatype": "BYTES", "shape": shape, "data": data}


def test_a_request_in_parts_is_answered_by_one_version():
    async def asked():
        models = InstantModels(("vectors",))
        await models.change("vectors", 1, VECTORS, vector(1.0), 0.05)
        sockets = BertSockets(models.service, "127.0.0.1", 0, 0)
        sockets._parts = asyncio.Semaphore(1)
        texts = [f"text {number}" for number in range(200)]
        asking = asyncio.create_task(sockets._encoded("client", json.dumps(texts).encode()))
        await asyncio.sleep(0.02)
        await models.change("vectors", 2, VECTORS, vector(2.0))
        head, content = await asking
        await sockets.close()
        return np.frombuffer(content, np.float32).reshape(json.loads(head)["shape"])

    found = asyncio.run(asked())
    assert found.shape == (200, 2)
    assert set(found[:, 0]) == {2.0}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/vectors/infer", {"inputs": [tensor("text_a", ["a"], [1])]}),
        ("/v1/models/vectors:predict", {"instances": ["a"]}),
        ("/embed", {"inputs": "a"}),
        ("/v1/embeddings", {"model": "vectors", "input": "a"}),
        ("/encode", {"texts": ["a"]}),
    ],
)
def test_a_body_that_arrives_while_the_version_changes_is_answered(path, body):
    async def asked():
        models = InstantModels(("vectors",))
        await models.change("vectors", 1, VECTORS, vector(1.0))
        arrives = asyncio.Event()
        asking = asyncio.create_task(models.post(path, body, arrives.wait()))
        await asyncio.sleep(0.02)
        await models.change("vectors", 2, VECTORS, vector(2.0))
        arrives.set()
        return await asking

    status, content = asyncio.run(asked())
    assert status == 200, content


@pytest.mark.parametrize(
    ("data", "shape", "told"),
    [
        ([["a", "b", "c"], ["d"]], [2, 2], "data[0] is 3 texts, the shape [2, 2] says 2 texts; fill lists up with"),
        ([["a", "b"], "c", "d"], [2, 2], "data[1] is a str, the shape [2, 2] says 2 texts"),
        ([["a", "b"]], [2, 2], "input 'choices' has 2 texts, its shape says 4"),
        (["a", "b", "c", "d"], [2, 2], None),
        ([["a", "b"], ["c", "d"]], [2, 2], None),
    ],
)
def test_choices_stay_with_their_question(data, shape, told):
    async def asked():
        models = InstantModels(("choices",))
        await models.change("choices", 1, CHOICES, choice)
        inputs = [tensor("question", ["one", "two"], [2]), tensor("choices", data, shape)]
        return await models.post("/v2/models/choices/infer", {"inputs": inputs})

    status, content = asyncio.run(asked())
    found = json.loads(content)
    if told is None:
        assert (status, found["outputs"][0]["data"]) == (200, ["a", "c"])
    else:
        assert status == 400
        assert told in found["error"]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A model whose exports can be loaded once they are as long as they should be; `tried` has what was."""
    write(tmp_path / "1", b"whole")
    found = Served({"model": Source(tmp_path)}, [None], BatchLimits(), Metrics())
    found.tried = []

    async def change(exports):
        path = exports["model"]
        found.tried.append(path.name)
        if (path / "saved_model.pb").read_bytes() != b"whole":
            raise ExportError(f"{path}: broken")
        found._versions["model"] = SimpleNamespace(export_dir=path, number=int(path.name))

    monkeypatch.setattr(found, "_change_to", change)
    asyncio.run(found.load())
    return found


def write(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(content)


def test_an_export_that_is_being_copied_is_taken_up_when_it_is_whole(served, tmp_path):
    for size in range(1, 6):
        write(tmp_path / "2", b"whole"[:size])
        assert asyncio.run(served.update()) is False
    assert served.tried == ["1"]
    assert asyncio.run(served.update()) is True
    assert served.tried == ["1", "2"]
    assert asyncio.run(served.update()) is False


@pytest.mark.parametrize("how", ["longer", "rewritten"])
def test_one_that_failed_is_tried_again_when_its_files_have_changed(served, tmp_path, caplog, how):
    write(tmp_path / "2", b"half" if how == "longer" else b"WHOLE")
    with caplog.at_level(logging.ERROR):
        assert not any(asyncio.run(served.update()) for _ in range(5))
    assert served.tried == ["1", "2"]
    assert caplog.messages == [f"model stays at version 1: {tmp_path / '2'}: broken"]
    write(tmp_path / "2", b"whole")
    os.utime(tmp_path / "2" / "saved_model.pb", (1, 1))
    assert [asyncio.run(served.update()) for _ in range(3)] == [False, True, False]


def test_a_folder_without_a_graph_is_no_export(served, tmp_path):
    (tmp_path / "9").mkdir()
    (tmp_path / "export" / "400").mkdir(parents=True)
    assert Source(tmp_path).newest() == tmp_path / "1"
    write(tmp_path / "export" / "300", b"whole")
    assert Source(tmp_path).newest() == tmp_path / "export" / "300"
