"""TensorFlow Serving's REST protocol over a real connection; the answers are those of the Predictor."""

import base64

import pytest

from serving.predictor import Predictor
from tests.support import tiny

TEXTS = [text for text, _ in tiny.rows(6)]


@pytest.fixture(scope="module")
def expected(classifier_export):
    with Predictor(classifier_export) as predictor:
        return [predictor.answer([{"text_a": text}])[0] for text in TEXTS]


def close_to(answer):
    return {
        "label": answer["label"],
        "score": pytest.approx(max(answer["probabilities"].values()), abs=1e-6),
        "probabilities": pytest.approx(list(answer["probabilities"].values()), abs=1e-6),
        "labels": ["neg", "pos"],
    }


def test_predict_answers_rows(server, expected):
    found = server.post("/v1/models/reviews:predict", {"instances": [{"text_a": text} for text in TEXTS]})
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    assert found.json() == {"predictions": [close_to(answer) for answer in expected]}


def test_predict_takes_plain_strings_base64_and_a_signature(server, expected):
    encoded = [{"b64": base64.b64encode(text.encode()).decode()} for text in TEXTS]
    for instances in (TEXTS, encoded, [{"text_a": one} for one in encoded]):
        found = server.post("/v1/models/reviews:predict", {"signature_name": "single_text", "instances": instances})
        assert found.json() == {"predictions": [close_to(answer) for answer in expected]}


def test_predict_answers_columns(server, classifier_export):
    with Predictor(classifier_export) as predictor:
        outputs = predictor.run({"text_a": TEXTS, "text_b": ["it was here"]})
    inputs = {"text_a": TEXTS, "text_b": ["it was here"]}
    found = server.post("/v1/models/reviews:predict", {"inputs": inputs}).json()["outputs"]
    assert found["label"] == [label.decode() for label in outputs["label"]]
    assert found["labels"] == [[label.decode() for label in row] for row in outputs["labels"]]
    assert found["score"] == pytest.approx(outputs["score"].tolist(), abs=1e-6)
    for row, other in zip(found["probabilities"], outputs["probabilities"].tolist(), strict=True):
        assert row == pytest.approx(other, abs=1e-6)


def test_one_output_stands_alone(server, regression_export):
    with Predictor(regression_export) as predictor:
        scores = pytest.approx(
            [answer["label"] for answer in predictor.answer([{"text_a": t} for t in TEXTS])], abs=1e-6
        )
    assert server.post("/v1/models/stars:predict", {"instances": TEXTS}).json() == {"predictions": scores}
    assert server.post("/v1/models/stars:predict", {"inputs": TEXTS}).json() == {"outputs": scores}
    examples = [{"text_a": [text]} for text in TEXTS]
    assert server.post("/v1/models/stars:regress", {"examples": examples}).json() == {"result": scores}


def test_classify_gives_labels_with_scores(server, expected):
    body = {
        "context": {"text_b": ["it was here"]},
        "examples": [{"text_a": TEXTS[0], "text_b": None}, {"text_a": TEXTS[1]}],
    }
    found = server.post(f"/v1/models/reviews/versions/{server.version('reviews').number}:classify", body).json()
    assert [label for label, _ in found["result"][0]] == ["neg", "pos"]
    assert [p for _, p in found["result"][0]] == pytest.approx(list(expected[0]["probabilities"].values()), abs=1e-6)
    assert [p for _, p in found["result"][1]] != pytest.approx(list(expected[1]["probabilities"].values()), abs=1e-6)


def test_status_and_metadata(server, classifier_export):
    status = server.get("/v1/models/reviews").json()
    assert status == {
        "model_version_status": [
            {
                "version": classifier_export.name,
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    metadata = server.get(f"/v1/models/reviews/versions/{classifier_export.name}/metadata").json()
    assert metadata["model_spec"] == {"name": "reviews", "signature_name": "", "version": classifier_export.name}
    text = metadata["metadata"]["signature_def"]["signature_def"]["text"]
    assert text["inputs"]["text_a"]["dtype"] == "DT_STRING"
    assert text["inputs"]["text_a"]["tensor_shape"]["dim"][0]["size"] == "-1"
    assert set(text["outputs"]) == {"label", "score", "probabilities", "labels"}
    assert text["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("reviews:predict", {}, 400, "the body needs instances"),
        ("reviews:predict", {"instances": ["a"], "inputs": ["a"]}, 400, "not both"),
        ("reviews:predict", {"instances": "a"}, 400, "instances is no list"),
        ("reviews:predict", {"instances": []}, 422, "no text; give at least one"),
        ("reviews:predict", {"instances": ["a"] * 257}, 422, "257 texts, at most 256 are taken in a request"),
        ("reviews:predict", {"instances": ["a", " "]}, 422, "text 1: text_a is blank"),
        ("reviews:predict", {"instances": [{"text": "a"}]}, 422, "text 0: unknown key 'text'; expected text_a, text_b"),
        ("reviews:predict", {"instances": [{"text_a": 5}]}, 422, "text 0: text_a is a int, expected text"),
        ("reviews:predict", {"instances": [{"text_b": "a"}]}, 422, "text 0: text_a is missing"),
        ("reviews:predict", {"instances": ["a" * 100_001]}, 422, "text_a has 100001 characters, at most 100000"),
        ("reviews:predict", {"instances": ["\ud800"]}, 422, "text 0: text_a has half of a surrogate pair"),
        ("reviews:predict", {"instances": [{"b64": "?"}]}, 400, "b64 is not the base64 of a text in UTF-8"),
        ("reviews:predict", {"instances": [{"text_a": {"x": 1}}]}, 400, 'a text is a string, or {"b64": "..."}'),
        ("reviews:predict", {"inputs": {"text_a": ["a"] * 3, "text_b": ["a"] * 2}}, 400, "has 2 values, another 3"),
        ("reviews:predict", {"inputs": {"text_a": "a"}}, 400, "input 'text_a' is no list"),
        ("reviews:predict", {"inputs": 7}, 400, "inputs is no JSON object"),
        ("reviews:predict", [1], 400, "the body is no JSON object"),
        ("reviews:predict", {"signature_name": "ids", "instances": ["a"]}, 400, "this server answers texts"),
        ("reviews:regress", {"examples": [{"text_a": "a"}]}, 400, "does not predict a number"),
        ("stars:classify", {"examples": [{"text_a": "a"}]}, 400, "does not classify"),
        ("reviews:classify", {"examples": 1}, 400, "the body needs examples"),
        ("reviews:classify", {"examples": [1]}, 400, "examples[0] is no JSON object"),
        ("reviews:explain", {"instances": ["a"]}, 404, "no :explain; expected :predict, :classify, :regress"),
        ("films:predict", {"instances": ["a"]}, 404, "no model 'films'; served: reviews, stars, vectors"),
        ("reviews/versions/1:predict", {"instances": ["a"]}, 404, "model reviews has no version 1; loaded: "),
        ("reviews/labels/stable:predict", {"instances": ["a"]}, 404, "no version label 'stable'"),
        ("a/b/c", {"instances": ["a"]}, 404, "no such path"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(server, path, body, status, message):
    found = server.post(f"/v1/models/{path}", body)
    assert found.status_code == status
    assert message in found.json()["error"]


def test_bodies_that_are_no_json_are_refused(server):
    for content, message in [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"instances": ' + b"9" * 5000 + b"}", "cannot be read"),
    ]:
        found = server.post("/v1/models/reviews:predict", None, data=content)
        assert found.status_code == 400
        assert message in found.json()["error"]
