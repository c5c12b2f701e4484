"""Several processes of a model: one that hangs, one that cannot come back, and every kind of export behind them."""

import concurrent.futures
import contextlib
import logging
import os
import shutil
import signal

import pytest

from modeling.config import BertConfig
from processors.entities.featurizer import labels_of_types
from processors.entities.source import SentenceFiles
from processors.entities.tagged_file import FileForm
from serving import processes, worker
from serving.predictor import Predictor
from serving.settings import BatchLimits, ServerSettings
from tasks.entities.task import EntitySettings, EntityTask
from tasks.pretraining.task import PretrainingSettings, PretrainingTask
from tasks.span.task import SpanSettings, SpanTask
from tests.serving.test_server import PREDICT, wait_until
from tests.support import serving, tiny
from tokenization import BulkTokenizer

pytestmark = pytest.mark.slow
TEXT = "the film was [MASK] and lovely"


def test_one_that_hangs_is_killed_and_one_that_cannot_start_is_tried_again(
    classifier_export, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(worker, "BATCH_SECONDS", 5.0)
    monkeypatch.setattr(processes, "RESTART_SECONDS", (0.0, 0.2))
    export = tmp_path / "reviews" / "export" / "7"
    shutil.copytree(classifier_export, export)
    batches = BatchLimits(max_batch=1, max_wait_ms=0)
    settings = ServerSettings(host="0.0.0.0", poll_seconds=600)
    with (
        caplog.at_level(logging.INFO),
        serving.running({"reviews": export}, batches, settings, processes=2) as server,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        warning = "--host=0.0.0.0: every machine that reaches this address can ask; no API key is asked for"
        assert any(warning in message for message in caplog.messages)
        version = server.version("reviews")
        first, second = version.workers
        assert first.pid() != second.pid()

        def ask(count):
            return list(pool.map(lambda _: server.post(PREDICT, {"instances": ["good"]}), range(count)))

        os.kill(first.pid(), signal.SIGSTOP)
        found = ask(8)
        lost = [one for one in found if one.status_code != 200]
        assert [one.status_code for one in lost] == [503]
        assert "gave no answer in 5 seconds while it computed this request" in lost[0].json()["error"]
        wait_until(lambda: version.ready_workers == 2, 120)
        export.rename(tmp_path / "away")
        os.kill(first.pid(), signal.SIGKILL)
        with contextlib.suppress(AssertionError):  # the process may have been found dead by a request of this loop
            wait_until(lambda: ask(1)[0].status_code == 503, 30)
        wait_until(lambda: sum("cannot be started again" in message for message in caplog.messages) >= 2, 120)
        assert version.ready_workers == 1
        assert {one.status_code for one in ask(8)} == {200}
        assert server.get("/health/ready").status_code == 200
        (tmp_path / "away").rename(export)
        wait_until(lambda: version.ready_workers == 2, 120)


def tasks(tokenizer):
    entities = SentenceFiles({}, FileForm(), "iob2", labels_of_types(["good", "bad"]))
    pretraining = PretrainingSettings(max_seq_length=24, max_predictions_per_seq=4)
    return {
        "names": EntityTask(tokenizer, entities, EntitySettings(12)),
        "answers": SpanTask(tokenizer, SpanSettings(max_seq_length=24, doc_stride=8, max_query_length=8), {}),
        "masks": PretrainingTask(BertConfig.from_dict(tiny.CONFIG), pretraining, {}, tokenizer),
    }


def test_every_kind_of_export_is_served(tiny_model, tmp_path):
    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    exports = {name: serving.export_random(task, tmp_path / name) for name, task in tasks(tokenizer).items()}
    rows = {"names": {"text": TEXT}, "answers": {"question": "was it good ?", "context": TEXT}, "masks": {"text": TEXT}}
    with serving.running(exports) as server:
        for name, row in rows.items():
            with Predictor(exports[name]) as predictor:
                (expected,) = predictor.answer([row])
                outputs = predictor.run({key: [text] for key, text in row.items()})
            assert server.post("/api/answer", {"model": name, "row": row}).json()["answer"] == near(expected)
            (predicted,) = server.post(f"/v1/models/{name}:predict", {"instances": [row]}).json()["predictions"]
            assert predicted.keys() == outputs.keys()
            inputs = [{"name": k, "datatype": "BYTES", "shape": [1], "data": [text]} for k, text in row.items()]
            tensors = server.post(f"/v2/models/{name}/infer", {"inputs": inputs}).json()["outputs"]
            assert {one["name"]: tuple(one["shape"]) for one in tensors} == {k: v.shape for k, v in outputs.items()}


def near(value):
    """The same with numbers as near as two batches are."""
    if isinstance(value, dict):
        return {key: near(one) for key, one in value.items()}
    if isinstance(value, list):
        return [near(one) for one in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
