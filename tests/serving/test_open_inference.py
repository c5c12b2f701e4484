"""The Open Inference Protocol over a real connection, by hand and with Triton's client."""

import json
import struct

import pytest
import requests

from serving.predictor import Predictor
from tests.support import tiny
from tests.support.clients import run_client

TEXTS = [text for text, _ in tiny.rows(6)]
INFER = "/v2/models/reviews/infer"


@pytest.fixture(scope="module")
def expected(classifier_export):
    with Predictor(classifier_export) as predictor:
        return predictor.answer([{"text_a": text} for text in TEXTS])


def text_input(texts, **further):
    return {"name": "text_a", "datatype": "BYTES", "shape": [len(texts)], "data": texts} | further


def test_triton_s_client_gets_the_answers(server, expected):
    found = run_client("triton.py", server.url.removeprefix("http://"), "reviews", content=TEXTS)
    assert found["live"] is found["ready"] is found["model_ready"] is True
    assert found["metadata"] == {
        "name": "reviews",
        "versions": [str(server.version("reviews").number)],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in ("text_a", "text_b")],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "labels", "datatype": "BYTES", "shape": [-1, -1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, -1]},
            {"name": "score", "datatype": "FP32", "shape": [-1]},
        ],
    }
    labels = [answer["label"] for answer in expected]
    probabilities = [p for answer in expected for p in answer["probabilities"].values()]
    binary = found["binary"]
    assert binary["id"] == "binary"
    assert binary["shapes"] == {"label": [6], "labels": [6, 2], "probabilities": [6, 2], "score": [6]}
    assert binary["types"]["probabilities"] == "float32"
    assert binary["values"]["label"] == labels
    assert binary["values"]["labels"] == ["neg", "pos"] * 6
    assert binary["values"]["probabilities"] == pytest.approx(probabilities, abs=1e-6)
    assert found["json"]["values"] == {"label": labels}
    assert found["error"] == ["404", "no model 'films'; served: reviews, stars, vectors"]


def test_json_in_json_out(server, expected):
    body = {"id": "7", "inputs": [text_input([[text] for text in TEXTS], shape=[6, 1])]}
    version = server.version("reviews").number
    found = server.post(f"/v2/models/reviews/versions/{version}/infer", body).json()
    assert (found["model_name"], found["model_version"], found["id"]) == ("reviews", str(version), "7")
    outputs = {one["name"]: one for one in found["outputs"]}
    assert outputs["label"]["data"] == [answer["label"] for answer in expected]
    assert outputs["score"]["data"] == pytest.approx([max(a["probabilities"].values()) for a in expected], abs=1e-6)
    second = {**text_input(["it was here"] * 6), "name": "text_b"}
    pairs = server.post(INFER, {"inputs": [text_input(TEXTS), second]}).json()["outputs"]
    assert {one["name"]: one for one in pairs}["score"]["data"] != outputs["score"]["data"]
    assert server.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert server.get("/v2/models/films").status_code == 404
    assert server.get("/v2/models/reviews/versions/x").json() == {"error": "no version 'x'; versions are numbers"}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "the body needs inputs, a list of tensors"),
        ({"inputs": [{"name": "text_a", "datatype": "FP32", "shape": [1], "data": [1]}]}, 400, "expected BYTES: texts"),
        ({"inputs": [text_input(["a"], shape=None)]}, 400, "has no shape, as in [2]"),
        ({"inputs": [text_input(["a"], shape=[1, 2])]}, 400, "has the shape [1, 2], expected [N] or [N, 1]"),
        ({"inputs": [text_input(["a"], shape=[2])]}, 400, "input 'text_a' has 1 texts, its shape says 2"),
        ({"inputs": [text_input("a")]}, 400, "input 'text_a' has no data"),
        ({"inputs": [text_input(["a"], name=3)]}, 400, "an input has no name"),
        ({"inputs": [text_input(["a"])] * 2}, 400, "input 'text_a' is given twice"),
        ({"inputs": [text_input(["a"], name="words")]}, 422, "unknown key 'words'; expected text_a, text_b"),
        ({"inputs": [text_input([3])]}, 422, "text 0: text_a is a int, expected text"),
        ({"inputs": [text_input(["a"])], "outputs": [{"name": "x"}]}, 400, "no output 'x'; reviews has label, labels"),
        ({"inputs": [text_input(["a"])], "outputs": [{"name": "label", "parameters": {"classification": 2}}]}, 400,
         "classification is not offered"),
        ({"inputs": [text_input(["a"], parameters={"binary_data_size": 9})]}, 400, "binary_data_size is not that"),
        ({"inputs": [text_input(["a"])], "parameters": {"binary_data_output": "false"}}, 400,
         'binary_data_output is "false", expected true or false'),
        ({"inputs": [text_input(["a"])], "outputs": [{"name": "label", "parameters": {"binary_data": 0}}]}, 400,
         "binary_data is 0, expected true or false"),
        ({"inputs": [text_input(["a"])], "id": "\ud800"}, 400, "id has half of a surrogate pair"),
        ({"inputs": [text_input(["a"])], "id": "\ud800", "parameters": {"binary_data_output": True}}, 400,
         "id has half of a surrogate pair"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(server, body, status, message):
    found = server.post(INFER, body)
    assert found.status_code == status
    assert message in found.json()["error"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (struct.pack("<I", 9) + b"good", "the bytes end inside a text"),
        (b"\x01\x00", "the bytes end inside a text"),
        (struct.pack("<I", 1) + b"\xff", "text 0 is not UTF-8"),
        (struct.pack("<I", 4) + b"good" + b"more", "the bytes end inside a text"),
    ],
)
def test_damaged_binary_tensors_are_refused(server, data, message):
    tensor = {"name": "text_a", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    for length, said in ((len(head), message), (10_000, "expected the length of the JSON in the body")):
        headers = {"Inference-Header-Content-Length": str(length)}
        found = requests.post(server.url + INFER, data=head + data, headers=headers, timeout=60)
        assert found.status_code == 400
        assert said in found.json()["error"]
