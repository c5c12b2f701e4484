"""The server as a whole: limits, slow and lost clients, crashes, newer exports, and how it stops."""

import concurrent.futures
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import threading
import time

import pytest
import requests

from common.errors import ExportError, FlagError
from serving.gate import ApiKeys, read_keys
from serving.predictor import Predictor
from serving.server import bound_socket, is_loopback
from serving.settings import BatchLimits, RequestLimits, ServerSettings
from tests.support import serving, tiny

PREDICT = "/v1/models/reviews:predict"
KEY = "a key of many characters"


def raw(server, *parts, pause=0.0):
    """Sends bytes as they are; gives what comes back until the server closes the connection, and the seconds."""
    host, port = server.server.address
    started = time.monotonic()
    with socket.create_connection((host, port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(1 << 16):
                received += chunk
    return received, time.monotonic() - started


def test_requests_of_many_clients_get_their_own_answers_in_their_order(server, classifier_export):
    texts = [text for text, _ in tiny.rows(60)]
    with Predictor(classifier_export) as predictor:
        alone = {text: predictor.answer([{"text_a": text}])[0]["probabilities"]["pos"] for text in texts}

    def ask(number):
        mine = [texts[(number * 7 + step) % len(texts)] for step in range(1 + number % 5)]
        return mine, server.post(PREDICT, {"instances": mine}).json()["predictions"]

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for mine, found in pool.map(ask, range(120)):
            assert [one["probabilities"][1] for one in found] == pytest.approx([alone[t] for t in mine], abs=1e-6)
    metrics = server.get("/metrics").text
    rows, batches = (
        float(line.split()[-1])
        for name in ("bert_rows_total", "bert_batch_rows_count")
        for line in metrics.splitlines()
        if line.startswith(f'{name}{{model="reviews"}}')
    )
    assert rows > 1.5 * batches
    assert 'bert_requests_total{operation="tensorflow.predict",status="200"}' in metrics
    assert 'bert_queue_rows{model="reviews"} 0.0' in metrics


def test_health_request_ids_and_access_log(server, caplog):
    with caplog.at_level(logging.INFO, logger="serving.access"):
        for path in ("/health", "/health/ready", "/health/live"):
            found = server.get(path, headers={"X-Request-Id": "mine-1"})
            assert found.status_code == 200
            assert found.headers["x-request-id"] == "mine-1"
            assert "server" not in found.headers
            assert "access-control-allow-origin" not in found.headers
        odd = server.get("/health", headers={"X-Request-Id": 'a "quoted" id'})
        assert odd.headers["x-request-id"].isalnum()
        missing = server.get("/nothing/here?secret=1", headers={"X-Request-Id": "mine-2"})
        assert missing.status_code == 404
        assert missing.json() == {"error": "GET /nothing/here: Not Found"}
        wait_until(lambda: any("mine-2" in record.getMessage() for record in caplog.records))
    own = [message for name, _, message in caplog.record_tuples if name == "serving.access"]
    lines = [line for line in map(json.loads, own) if line["id"].startswith("mine")]
    assert [line["status"] for line in lines] == [200, 200, 200, 404]
    assert lines[0] == lines[0] | {"id": "mine-1", "method": "GET", "path": "/health", "operation": "operation.health"}
    assert lines[3]["path"] == "/nothing/here"
    assert server.get("/v1/models/reviews%2f..%2f..%2fx").status_code == 404


def test_bodies_above_the_limit_are_refused(server):
    found = server.post(PREDICT, {"instances": ["a" * (2 << 20)]})
    assert found.status_code == 413
    assert found.json()["error"] == "the body has more than 2097152 bytes; send several requests"

    def parts():
        for _ in range(64):
            yield b" " * (1 << 16)

    with contextlib.suppress(requests.ConnectionError):  # it may be closed while the client still writes
        assert requests.post(server.url + PREDICT, data=parts(), timeout=30).status_code == 413
    assert server.get("/health").status_code == 200


def test_headers_above_the_limit_are_refused(server):
    assert b" 400 " in raw(server, b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")[0]


@pytest.fixture(scope="module")
def impatient(classifier_export):
    """A server with short times and little room."""
    limits = RequestLimits(deadline_s=1.0, read_timeout_s=0.3, idle_timeout_s=1.0)
    batches = BatchLimits(max_batch=1, max_queue=3, max_wait_ms=0)
    settings = ServerSettings(limits)
    with serving.running({"reviews": classifier_export}, batches, settings, ApiKeys([KEY])) as started:
        yield started


def test_slow_and_idle_clients_lose_their_connection(impatient):
    received, seconds = raw(impatient, b"GET /hea")
    assert received == b""
    assert 0.2 < seconds < 3
    received, seconds = raw(impatient)
    assert received == b""
    assert 0.2 < seconds < 3
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 100\r\n\r\n".encode()
    received, seconds = raw(impatient, head, b"{")
    assert b" 408 " in received
    assert b"the body did not arrive in 0.3 seconds" in received
    received, seconds = raw(impatient, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in received
    assert 0.8 < seconds < 4  # the connection stays open for another request, but not for ever


def test_requests_without_a_key_are_refused(impatient):
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {KEY}"}, {"X-API-Key": ""}):
        found = impatient.post(PREDICT, {"instances": ["a"]}, headers=headers)
        assert found.status_code == 401
        assert found.json() == {"error": "the API key is missing or wrong; send Authorization: Bearer KEY"}
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}):
        assert impatient.post(PREDICT, {"instances": ["good"]}, headers=headers).status_code == 200
    assert impatient.get("/metrics").status_code == 401
    assert impatient.get("/health/ready").status_code == 200


def stopped(worker):
    """Stops the process of a model for a block, as an overloaded machine would."""

    @contextlib.contextmanager
    def block():
        os.kill(worker.pid(), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker.pid(), signal.SIGCONT)

    return block()


def test_an_overloaded_model_gives_429_then_504_and_recovers(impatient):
    headers = {"X-API-Key": KEY}
    statuses = []

    def ask(number):
        found = impatient.post(PREDICT, {"instances": ["good film"]}, headers=headers)
        statuses.append((found.status_code, found.headers.get("retry-after"), found.json().get("error", "")))

    with stopped(impatient.version("reviews").workers[0]), concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    by_status = {}
    for status, retry_after, message in statuses:
        by_status.setdefault(status, []).append((retry_after, message))
    assert by_status.keys() == {429, 504}
    assert len(by_status[429]) == 4  # one is computed, three wait
    assert all(retry_after and int(retry_after) >= 1 for retry_after, _ in by_status[429])
    assert by_status[429][0][1] == "3 texts wait already; try again later"
    assert by_status[504][0][1] == "no answer in 1 seconds; send fewer texts, or try later"
    assert impatient.post(PREDICT, {"instances": ["good film"]}, headers=headers).status_code == 200


def test_rows_of_a_client_that_has_left_are_not_computed(impatient):
    version = impatient.version("reviews")
    body = json.dumps({"instances": ["good"]}).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with stopped(version.workers[0]):
        connections = []
        for _ in range(3):
            connections.append(socket.create_connection(impatient.server.address))
            connections[-1].sendall(head + body)
        wait_until(lambda: version.batcher.waiting_rows == 2)
        for connection in connections:
            connection.close()
        wait_until(lambda: version.batcher.waiting_rows == 0)
    assert impatient.post(PREDICT, {"instances": ["good"]}, headers={"X-API-Key": KEY}).status_code == 200


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_crash_fails_its_batch_alone_and_the_process_comes_back(classifier_export):
    batches = BatchLimits(max_batch=2, max_wait_ms=0)
    with serving.running({"reviews": classifier_export}, batches) as server:
        version = server.version("reviews")
        worker = version.workers[0]
        found = []

        def ask(number):
            found.append(server.post(PREDICT, {"instances": ["good film"]}))

        os.kill(worker.pid(), signal.SIGSTOP)
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: version.batcher.waiting_rows >= 4)
        os.kill(worker.pid(), signal.SIGKILL)
        wait_until(lambda: version.ready_workers == 0)
        assert server.get("/health/ready").status_code == 503
        assert server.get("/health/live").status_code == 200
        for thread in threads:
            thread.join()
        statuses = sorted(one.status_code for one in found)
        assert statuses.count(503) in (1, 2)
        assert statuses.count(200) == 6 - statuses.count(503)
        (message, *_) = (one.json()["error"] for one in found if one.status_code == 503)
        assert message == "the process of the model was ended by signal 9 while it computed this request; send it again"
        assert server.get("/health/ready").status_code == 200
        assert 'bert_model_crashes_total{model="reviews"} 1.0' in server.get("/metrics").text


@pytest.mark.slow
def test_a_newer_export_takes_over_without_a_gap_and_a_broken_one_does_not(classifier_export, tmp_path):
    exports = tmp_path / "run" / "export"
    shutil.copytree(classifier_export, exports / "100")
    with serving.running({"reviews": tmp_path / "run"}, settings=ServerSettings(poll_seconds=0.1)) as server:
        statuses, end = [], threading.Event()

        def ask():
            while not end.is_set():
                statuses.append(server.post(PREDICT, {"instances": ["good film"]}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            (exports / "150").mkdir()
            shutil.copytree(classifier_export, exports / "temp-200")
            (exports / "temp-200").rename(exports / "200")
            wait_until(lambda: server.version("reviews").number == 200, 60)
            shutil.copytree(classifier_export, exports / "temp-300")
            (exports / "temp-300" / "saved_model.pb").write_bytes(b"broken")
            (exports / "temp-300").rename(exports / "300")
            wait_until(lambda: server.server.models.version("reviews") and failed(server, exports / "300"), 60)
        finally:
            end.set()
            for thread in threads:
                thread.join()
        assert set(statuses) == {200}
        assert len(statuses) > 10
        assert server.get("/v1/models/reviews").json()["model_version_status"][0]["version"] == "200"
        assert server.get("/v1/models/reviews/versions/100").status_code == 404


def failed(server, export):
    (served,) = server.server.models._served
    return str(export / "saved_model.pb") in served._failed


def test_what_was_accepted_is_answered_before_the_server_stops(classifier_export):
    batches = BatchLimits(max_batch=1, max_wait_ms=0)
    with serving.running({"reviews": classifier_export}, batches) as server:
        version = server.version("reviews")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            with stopped(version.workers[0]):
                asked = [pool.submit(server.post, PREDICT, {"instances": ["good film"]}) for _ in range(6)]
                wait_until(lambda: version.batcher.waiting_rows == 5)
                server.stop()
                wait_until(lambda: refuses_connections(server))
            assert [one.result().status_code for one in asked] == [200] * 6
    assert version.workers[0].pid() is None


def refuses_connections(server):
    try:
        socket.create_connection(server.server.address, timeout=1).close()
    except OSError:
        return True
    return False


def test_what_cannot_be_loaded_ends_the_start(tmp_path):
    with (
        pytest.raises(ExportError, match="no export there; expected an export, a folder of exports or an --output_dir"),
        serving.running({"reviews": tmp_path}),
    ):
        pass
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ExportError, match=r"tokenizer\.json: cannot be read"), serving.running({"reviews": tmp_path}):
        pass


def test_an_address_that_is_taken_or_foreign_is_named(server):
    port = server.server.address[1]
    with pytest.raises(FlagError, match=f"--port={port}: cannot be listened at on 127.0.0.1"):
        bound_socket("127.0.0.1", port)
    with pytest.raises(FlagError, match=r"--host=no\.such\.host\.invalid: is no address of this machine"):
        bound_socket("no.such.host.invalid", 0)
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "example")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file or directory\)"),
        (b"\xff", "holds more than ASCII"),
        (b"\n\n", "holds no key"),
        (b"short\n", "holds a key that is shorter; expected keys of 16 characters or more"),
    ],
)
def test_files_of_keys_are_checked(tmp_path, content, message):
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FlagError, match=message):
        read_keys(path)


def test_a_file_of_keys_is_read(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"\n{KEY}\n another key of many characters \n")
    keys = read_keys(path)
    assert keys.accept({b"authorization": b"bearer another key of many characters"})
    assert keys.accept({b"x-api-key": KEY.encode()})
    assert not keys.accept({b"x-api-key": KEY[:-1].encode()})
