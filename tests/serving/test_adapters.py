"""Several adapters on one base: each answers as alone, and the base is there once."""

import os
import shutil
import signal

import numpy as np
import pytest

from common.errors import ExportError
from modeling.insertions import Lora
from serving.adapters import AdapterPredictor
from serving.predictor import Predictor
from serving.settings import ServerSettings
from tests.command_line.test_adapter_runs import adapters, lora, run  # noqa: F401 - fixtures
from tests.serving.test_server import wait_until
from tests.support import serving

ROWS = [{"text_a": "the film was good"}, {"text_a": "a dull day and awful food"}]


def unmerged(folder, two_layers):
    return run(folder, two_layers, "--lora_rank=1", "--do_train", "--do_export", "--export_signatures=ids")


@pytest.fixture(scope="module")
def exports(tiny_model, tmp_path_factory):
    """Two exports of LoRA on one base."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        name: serving.export_classifier(tiny_model, folder / name, insertions=Lora(2, 1.0), own=own)
        for name, own in (("first", 0.5), ("second", -0.3))
    }


@pytest.fixture(scope="module")
def trained(adapters, two_layers, tmp_path_factory):  # noqa: F811 - a fixture
    other = unmerged(tmp_path_factory.mktemp("other"), two_layers)
    return {name: next((folder / "run" / "export_ids").iterdir()) for name, folder in
            (("first", adapters), ("second", other))}  # fmt: skip


@pytest.mark.slow
def test_each_adapter_answers_as_alone_on_one_base(exports):
    check_each_as_alone(exports)


@pytest.mark.slow
def test_adapters_and_low_rank_deltas_that_were_trained_answer_together(trained):
    check_each_as_alone(trained)


def check_each_as_alone(exports):
    with AdapterPredictor(exports) as together:
        found = {name: together.answer(ROWS, name) for name in exports}
        read = [one.inputs[0].op for one in together._session.graph.get_operations() if one.type == "ReadVariableOp"]
        names = {handle.get_attr("shared_name").decode() for handle in read if handle.type == "VarHandleOp"}
        with pytest.raises(ExportError, match=r"no adapter 'frist'; .*first"):
            together.answer(ROWS, "frist")
    for name, path in exports.items():
        with Predictor(path) as alone:
            for one, other in zip(alone.answer(ROWS), found[name], strict=True):
                np.testing.assert_allclose(
                    list(one["probabilities"].values()), list(other["probabilities"].values()), atol=1e-6
                )
    assert sum(name.endswith("layer_0/output/dense/kernel") for name in names) == 1
    assert sum(name.endswith("output_weights") for name in names) == 2
    assert found["first"][0]["probabilities"] != found["second"][0]["probabilities"]


@pytest.mark.slow
def test_another_base_is_named(trained, lora):  # noqa: F811 - a fixture
    merged = next((lora / "run" / "export_ids").iterdir())
    with pytest.raises(ExportError, match=r"stands on another base than .*; export without --merge_adapters"):
        AdapterPredictor({**trained, "merged": merged})
    with pytest.raises(ExportError, match="no export is named"):
        AdapterPredictor({})


def answered(server, name):
    found = [server.post("/api/answer", {"model": name, "row": row}).json()["answer"] for row in ROWS]
    return np.array([list(one["probabilities"].values()) for one in found])


def alone(path):
    with Predictor(path) as predictor:
        return np.array([list(one["probabilities"].values()) for one in predictor.answer(ROWS)])


def test_a_server_answers_by_the_name_of_an_adapter_from_one_process(exports):
    with serving.running(exports, share_base=True) as server:
        first, second = (server.version(name) for name in exports)
        assert first.workers[0].pid() == second.workers[0].pid()
        for name, path in exports.items():
            np.testing.assert_allclose(answered(server, name), alone(path), atol=1e-6)
        assert np.abs(answered(server, "first") - answered(server, "second")).max() > 1e-4


@pytest.mark.slow
def test_a_process_of_several_comes_back_whole_and_takes_up_a_newer_export_of_one(exports, tmp_path):
    for name, path in exports.items():
        shutil.copytree(path, tmp_path / name / "100")
    folders = {name: tmp_path / name for name in exports}
    with serving.running(folders, settings=ServerSettings(poll_seconds=0.1), share_base=True) as server:
        second = server.version("second")
        os.kill(second.workers[0].pid(), signal.SIGKILL)
        assert server.post("/api/answer", {"model": "second", "row": ROWS[0]}).status_code == 503
        wait_until(lambda: second.ready_workers == 1, 120)
        np.testing.assert_allclose(answered(server, "first"), alone(exports["first"]), atol=1e-6)
        shutil.copytree(exports["second"], tmp_path / "temp")
        (tmp_path / "temp").rename(folders["first"] / "200")
        wait_until(lambda: server.version("first").number == 200, 120)
        assert server.version("second").number == 100
        np.testing.assert_allclose(answered(server, "first"), alone(exports["second"]), atol=1e-6)


@pytest.mark.slow
def test_a_server_names_another_base(trained, lora):  # noqa: F811 - a fixture
    folders = {"first": trained["first"], "merged": next((lora / "run" / "export_ids").iterdir())}
    with (
        pytest.raises(ExportError, match=r"stands on another base than .*; export without --merge_adapters"),
        serving.running(folders, share_base=True),
    ):
        pass
