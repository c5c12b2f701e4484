"""Vectors as text-embeddings-inference, OpenAI and bert-as-service give them, with the real clients."""

import asyncio
import json

import numpy as np
import pytest

from serving.lengths import Lengths
from serving.predictor import Predictor
from serving.rows import Description
from serving.statistics import MOST_CLIENTS, Statistics
from tests.support import tiny
from tests.support.clients import run_client

TEXTS = [text for text, _ in tiny.rows(6)]
CLOSE = 1e-6


@pytest.fixture(scope="module")
def predictor(vector_export):
    with Predictor(vector_export) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def expected(predictor):
    return np.array([answer["vector"] for answer in predictor.answer([{"text_a": text} for text in TEXTS])])


def scaled(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_given_tokens_are_those_of_the_text(predictor):
    text = "good film, lovely ##s day"
    (cut,) = predictor.answer([{"text_a": text}])
    given = "\x1f".join(cut["tokens"][1:-1])
    (same,) = predictor.answer([{"text_a": "anything", "tokens": given}])
    assert same["vector"] == pytest.approx(cut["vector"], abs=CLOSE)
    assert same["tokens"] == cut["tokens"]
    mixed = predictor.answer(
        [{"text_a": "a"}, {"text_a": "a", "tokens": "unknown\x1f##ly\x1f[MASK]"}, {"text_a": "day"}]
    )
    assert [answer["tokens"][1:-1] for answer in mixed] == [["a"], ["[UNK]", "##ly", "[MASK]"], ["day"]]
    (long,) = predictor.answer([{"text_a": "a " * 40, "text_b": "day"}])
    assert (long["num_tokens"], long["all_tokens"]) == (24, 44)


def test_embed_gives_vectors_of_length_one_unless_it_is_told_not_to(server, expected):
    found = np.array(server.post("/embed", {"inputs": TEXTS}).json())
    assert found == pytest.approx(scaled(expected), abs=CLOSE)
    raw = server.post("/embed", {"inputs": TEXTS[0], "normalize": False, "truncate": True}).json()
    assert raw == [pytest.approx(expected[0].tolist(), abs=CLOSE)]
    short = np.array(server.post("/embed", {"inputs": TEXTS, "dimensions": 5}).json())
    assert short == pytest.approx(scaled(expected[:, :5]), abs=CLOSE)
    assert server.get("/info").json()["model_type"]["classifier"]["id2label"] == {"0": "neg", "1": "pos"}


def test_predict_tells_a_pair_from_two_texts(server, classifier_export):
    with Predictor(classifier_export) as predictor:
        pair, one = predictor.answer([{"text_a": TEXTS[0], "text_b": TEXTS[1]}, {"text_a": TEXTS[2]}])

    def form(answer):
        ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
        return [{"score": pytest.approx(p, abs=CLOSE), "label": label} for label, p in ranked]

    assert server.post("/predict", {"inputs": TEXTS[:2]}).json() == form(pair)
    assert server.post("/predict", {"inputs": TEXTS[2]}).json() == form(one)
    assert server.post("/predict", {"inputs": [TEXTS[:2], [TEXTS[2]]]}).json() == [form(pair), form(one)]


def test_rerank_orders_texts_by_number_or_by_a_label(server, regression_export):
    rows = [{"text_a": "good film", "text_b": text} for text in TEXTS]
    with Predictor(regression_export) as predictor:
        numbers = [answer["label"] for answer in predictor.answer(rows)]
    asked = {"query": "good film", "texts": TEXTS, "model": "stars"}
    order = sorted(range(6), key=lambda index: -numbers[index])
    raw = server.post("/rerank", asked | {"raw_scores": True, "return_text": True}).json()
    assert raw == [
        {"index": index, "score": pytest.approx(numbers[index], abs=CLOSE), "text": TEXTS[index]} for index in order
    ]
    scores = [one["score"] for one in server.post("/rerank", asked).json()]
    assert scores == pytest.approx([1 / (1 + np.exp(-numbers[index])) for index in order], abs=CLOSE)
    by_label = server.post("/rerank", asked | {"model": "reviews", "label": "pos"}).json()
    assert sorted(by_label, key=lambda one: -one["score"]) == by_label
    assert sorted(one["index"] for one in by_label) == list(range(6))


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/embed", {"inputs": []}, 422, "no text; give at least one"),
        ("/embed", {"inputs": [3]}, 400, "inputs is no text and no list of texts"),
        ("/embed", {"inputs": "a " * 40}, 422, '42 tokens, 24 are read; shorten it, or send "truncate": true'),
        ("/embed", {"inputs": "a", "dimensions": 99}, 422, "dimensions is 99; the model gives vectors of 16"),
        ("/embed", {"inputs": "a", "dimensions": "x"}, 400, "dimensions is no whole number"),
        ("/embed", {"inputs": "a", "truncation_direction": "Left"}, 422, "truncation_direction is 'Left'; this server"),
        ("/embed", {"inputs": "a", "model": "stars"}, 404, "model stars gives no vectors"),
        ("/embed", {"inputs": "a", "model": 3}, 400, "model is no text"),
        ("/embed_all", {"inputs": "a"}, 404, "no model gives vectors of tokens (--pooling=none); served: reviews"),
        ("/predict", {"inputs": ["a", "b", "c"]}, 400, "inputs is no text, no pair [text, text] and no list"),
        ("/predict", {"inputs": "a", "raw_scores": True}, 422, "this model gives probabilities"),
        ("/rerank", {"query": "a", "texts": "b"}, 400, "the body needs query, a text, and texts, a list of texts"),
        ("/rerank", {"query": "a", "texts": ["b"]}, 422, 'send "label", whose probability ranks: neg, pos'),
        ("/encode", {"texts": "a"}, 400, "texts is no list of texts"),
        ("/encode", {"texts": [["a"]]}, 400, "a text is a list, expected a string"),
        ("/encode", {"texts": ["a"], "is_tokenized": True}, 400, "a text in tokens is a list of strings"),
        ("/v1/embeddings", {"input": "a"}, 400, "the body needs model"),
        ("/v1/embeddings", {"model": "vectors", "input": [[1, 2]]}, 400, "this server takes no token ids"),
        ("/v1/embeddings", {"model": "vectors", "input": "a", "encoding_format": "i"}, 400, "expected float or base64"),
        ("/v1/embeddings", {"model": "vectors", "input": "a", "encoding_format": ""}, 400, "expected float or base64"),
        ("/encode", {"texts": ["a"], "id": "\ud800"}, 400, "id has half of a surrogate pair"),
        ("/encode", {"texts": ["a"], "id": ["\ud800"]}, 400, "id has half of a surrogate pair"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(server, path, body, status, message):
    found = server.post(path, body)
    assert found.status_code == status
    assert message in found.text.replace('\\"', '"')


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/embed", {"inputs": "a"}, "normalize"),
        ("/embed", {"inputs": "a"}, "truncate"),
        ("/predict", {"inputs": "a", "model": "stars"}, "raw_scores"),
        ("/predict", {"inputs": "a"}, "truncate"),
        ("/rerank", {"query": "a", "texts": ["b"], "model": "stars"}, "raw_scores"),
        ("/rerank", {"query": "a", "texts": ["b"], "model": "stars"}, "return_text"),
        ("/rerank", {"query": "a", "texts": ["b"], "model": "stars"}, "truncate"),
        ("/v1/embeddings", {"model": "vectors", "input": "a"}, "truncate"),
        ("/encode", {"texts": ["a"]}, "is_tokenized"),
    ],
)
def test_what_is_neither_true_nor_false_is_refused(server, path, body, name):
    for value, shown in (("false", '"false"'), (0, "0"), (1, "1"), ("no", '"no"'), ([True], "[true]")):
        found = server.post(path, body | {name: value})
        assert found.status_code == 400
        assert f"{name} is {shown}, expected true or false" in found.text.replace('\\"', '"')
    assert server.post(path, body | {name: None}).json() == server.post(path, body).json()


@pytest.mark.parametrize(
    ("field", "status", "message"),
    [
        ({"Normalize": False}, 400, "unknown field 'Normalize'; closest 'normalize'"),
        ({"truncate_dim": 5}, 400, "unknown field 'truncate_dim'; closest 'truncate'"),
        ({"dimension": 5}, 400, "unknown field 'dimension'; closest 'dimensions'"),
        ({"output_dtype": "int8"}, 422, "output_dtype is 'int8'; this server takes 'float' or 'float32' alone"),
        ({"prompt_name": "query"}, 422, "prompt_name is 'query'; this server takes null alone"),
    ],
)
def test_a_field_that_would_change_the_answer_is_refused(server, field, status, message):
    for path, body in (("/embed", {"inputs": "a"}), ("/v1/embeddings", {"model": "vectors", "input": "a"})):
        if path == "/embed" or "Normalize" not in field:
            found = server.post(path, body | field)
            assert (found.status_code, message in found.text) == (status, True), found.text


def test_fields_that_clients_send_besides_are_left_alone(server):
    body = {"inputs": "a"}
    further = {"options": {"wait_for_model": True}, "parameters": {}, "prompt": None, "output_dtype": "float"}
    assert server.post("/embed", body | further).json() == server.post("/embed", body).json()
    body = {"model": "vectors", "input": "a"}
    further = {"user": "7", "encoding_format": "float", "input_type": "query", "dimensions": None, "timeout": 9}
    assert server.post("/v1/embeddings", body | further).json() == server.post("/v1/embeddings", body).json()


def test_a_row_that_would_be_cut_is_refused_where_the_request_says_so(server):
    long = "a " * 40
    for path, body, message in (
        ("/predict", {"inputs": long}, "text 0 has 42 tokens, 24 are read; shorten it, or send"),
        ("/predict", {"inputs": [["a"], ["good film", long]]}, "text 1 has 45 tokens, 24 are read"),
        ("/rerank", {"query": "good film", "texts": ["a", long], "model": "stars"}, "text 1 has 45 tokens, 24 are"),
    ):
        found = server.post(path, body | {"truncate": False})
        assert (found.status_code, message in found.text) == (422, True), found.text
        assert server.post(path, body | {"truncate": True}).json() == server.post(path, body).json()
    for text in ("a " * 22, "a"):
        assert server.post("/predict", {"inputs": text, "truncate": False}).status_code == 200


def test_lengths_are_those_that_vectors_tell(vector_export, predictor):
    rows = [{"text_a": text, "text_b": other} for text in ("good film", "a " * 40) for other in (None, "\u200b", "day")]
    told = [{name: answer[name] for name in ("num_tokens", "all_tokens")} for answer in predictor.answer(rows)]
    stated = json.loads((vector_export / "assets" / "tokenizer.json").read_bytes())

    def counted(further, texts):
        description = Description("vectors", ("text_a", "text_b"), ("text_a",), (), 24, settings=stated | further)
        return asyncio.run(Lengths(vector_export, description).of(texts))

    assert counted({}, rows) == told
    windows = {"truncation": "windows", "doc_stride": 11, "max_windows": 2}
    found = counted(windows, [{"text_a": "a " * count} for count in (22, 33, 34)])
    assert [(one["num_tokens"], one["all_tokens"]) for one in found] == [(24, 24), (35, 35), (35, 36)]


def test_openai_s_client_gets_the_vectors(server, expected):
    found = run_client("openai_client.py", server.url, "vectors", content=TEXTS)
    assert found["models"] == ["vectors"]
    assert np.array(found["vectors"]) == pytest.approx(expected, abs=CLOSE)
    assert found["floats"] == pytest.approx(expected[0], abs=CLOSE)
    assert found["short"] == pytest.approx(scaled(expected[0, :3]), abs=CLOSE)
    assert found["tokens"] > 6 * 3
    assert found["model"][0] == 404
    assert found["model"][1].startswith("no model 'films'; served: ")
    assert found["long"][0] == 422
    assert "text 0 has 101 tokens, 24 are read" in found["long"][1]


def test_bert_as_service_s_client_gets_the_vectors(server, expected, predictor):
    ports = map(str, server.server.listeners[-1].ports)
    found = run_client("bert_client.py", *ports, content=TEXTS)
    tokens = [answer["tokens"] for answer in predictor.answer([{"text_a": text} for text in TEXTS])]
    for name, rows in {"encode": 6, "shown": 6, "fetched": 3, "together": 3, "async": 4, "concurrent": 4, "at_once": 1,
                       "still": 1}.items():  # fmt: skip
        vectors = np.array(found[name]).reshape(-1, 16)
        assert vectors == pytest.approx(expected[:rows], abs=CLOSE), name
    assert found["tokens"] == tokens
    assert found["words"] == [["[CLS]", "good", "##ly", "[UNK]", "[MASK]", "[SEP]"], ["[CLS]", "film", "[SEP]"]]
    assert found["many"] is True
    assert [found[name] for name in ("not_json", "not_texts", "nothing", "too_long")] == [[0, 0]] * 4
    assert found["blank"] == 2
    assert found["config"]["server_version"] == "1.10.0"
    assert (found["config"]["max_seq_len"], found["config"]["pooling_strategy"]) == (24, "mean")
    statistic = found["status"]["statistic"]
    assert statistic["num_total_client"] >= 1
    assert statistic["num_data_request"] >= 12


def test_bert_as_service_over_http(server, expected):
    found = server.post("/encode", {"id": 7, "texts": TEXTS}).json()
    assert (found["id"], found["status"]) == (7, 200)
    assert np.array(found["result"]) == pytest.approx(expected, abs=CLOSE)
    assert server.post("/encode", {"texts": ["good ||| film"]}).json()["id"] is None
    assert server.get("/status/server").json()["server_version"] == "1.10.0"
    assert server.get("/status/client").json()["client_version"] == "1.10.0"


def test_statistics_forget_the_clients_of_long_ago():
    statistics = Statistics()
    for number in range(MOST_CLIENTS + 5):
        statistics.observe_data(str(number), 2)
    statistics.observe_system("x")
    found = statistics.summary()
    assert found["num_total_client"] == MOST_CLIENTS + 6
    assert found["num_active_client"] == MOST_CLIENTS
    assert (found["num_total_seq"], found["avg_size_per_request"]) == (2 * (MOST_CLIENTS + 5), 2)
