"""TensorFlow Serving's protocol over gRPC, asked with the stubs of tensorflow-serving-api."""

import concurrent.futures

import pytest

from serving.gate import ApiKeys
from serving.predictor import Predictor
from serving.service import Service
from serving.settings import RequestLimits
from tests.support import tiny

pytest.importorskip("tensorflow_serving", reason="pip install tensorflow-serving-api==2.15.1 brings its stubs")

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

TEXTS = [text for text, _ in tiny.rows(6)]


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.server.listeners[0].port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def expected(classifier_export):
    with Predictor(classifier_export) as predictor:
        return predictor.answer([{"text_a": text} for text in TEXTS])


def predict_request(name="reviews", texts=tuple(TEXTS), signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, values in {"text_a": list(texts), **inputs}.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return request


def fill(given, rows):
    for row in rows:
        features = given.example_list.examples.add().features.feature
        for name, text in row.items():
            features[name].bytes_list.value.append(text.encode())


def test_predict(stub, server, expected):
    found = stub.Predict(predict_request(signature="single_text"), timeout=60)
    assert (found.model_spec.name, found.model_spec.version.value) == ("reviews", server.version("reviews").number)
    outputs = {name: tf.make_ndarray(tensor) for name, tensor in found.outputs.items()}
    assert outputs["label"].tolist() == [answer["label"].encode() for answer in expected]
    assert outputs["labels"].tolist() == [[b"neg", b"pos"]] * 6
    assert outputs["probabilities"].dtype.name == "float32"
    expected_rows = [list(answer["probabilities"].values()) for answer in expected]
    assert outputs["probabilities"].tolist() == [pytest.approx(row, abs=1e-6) for row in expected_rows]
    pairs = predict_request(texts=[[text] for text in TEXTS], text_b=["it was here"])
    pairs.output_filter.append("score")
    (name,) = (pair := stub.Predict(pairs, timeout=60)).outputs
    assert tf.make_ndarray(pair.outputs[name]).tolist() != outputs["score"].tolist()


def test_vectors_have_their_shape(stub):
    found = stub.Predict(predict_request("vectors"), timeout=60)
    assert tf.make_ndarray(found.outputs["vectors"]).shape == (6, 16)


def test_calls_of_many_threads_get_their_own_answers(stub, expected):
    alone = {text: answer["probabilities"]["pos"] for text, answer in zip(TEXTS, expected, strict=True)}

    def ask(number):
        texts = [TEXTS[(number + step) % 6] for step in range(1 + number % 3)]
        return texts, tf.make_ndarray(stub.Predict(predict_request(texts=texts), timeout=60).outputs["probabilities"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for texts, found in pool.map(ask, range(40)):
            assert found[:, 1].tolist() == pytest.approx([alone[text] for text in texts], abs=1e-6)


def test_classify_and_regress(stub, expected, regression_export):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "reviews"
    fill(request.input, [{"text_a": text} for text in TEXTS])
    found = stub.Classify(request, timeout=60).result.classifications
    assert [[one.label for one in row.classes] for row in found] == [["neg", "pos"]] * 6
    scores = [one.score for row in found for one in row.classes]
    assert scores == pytest.approx([p for answer in expected for p in answer["probabilities"].values()], abs=1e-6)
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "stars"
    fill(request.input, [{"text_a": text, "text_b": "it"} for text in TEXTS])
    with Predictor(regression_export) as predictor:
        rows = [answer["label"] for answer in predictor.answer([{"text_a": t, "text_b": "it"} for t in TEXTS])]
    assert [one.value for one in stub.Regress(request, timeout=60).result.regressions] == pytest.approx(rows, abs=1e-6)


def test_metadata_and_status(stub, channel, server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "reviews"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert stub.GetModelMetadata(request, timeout=60).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["text"].inputs["text_a"].dtype == tf.string.as_datatype_enum
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "reviews"
    (one,) = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=60).model_version_status
    assert (one.version, one.state) == (server.version("reviews").number, 30)


def wrong_version():
    request = predict_request()
    request.model_spec.version.value = 1
    return request


def wrong_output():
    request = predict_request()
    request.output_filter.append("x")
    return request


@pytest.mark.parametrize(
    ("request_of", "code", "message"),
    [
        (lambda: predict_request("films"), "NOT_FOUND", "no model 'films'; served: reviews, stars, vectors"),
        (wrong_version, "NOT_FOUND", "model reviews has no version 1; loaded: "),
        (wrong_output, "INVALID_ARGUMENT", "no output 'x'; reviews has label, labels, probabilities, score"),
        (lambda: predict_request(signature="ids"), "INVALID_ARGUMENT", "answers texts: text or single_text"),
        (lambda: predict_request(texts=[1]), "INVALID_ARGUMENT", "input 'text_a' is DT_INT32, expected DT_STRING"),
        (lambda: predict_request(texts=[["a", "b"]]), "INVALID_ARGUMENT", "has the shape [1, 2], expected [N]"),
        (lambda: predict_request(texts=[b"\xff"]), "INVALID_ARGUMENT", "'text_a' is not UTF-8"),
        (lambda: predict_request(texts=[" "]), "INVALID_ARGUMENT", "text 0: text_a is blank"),
        (lambda: predict_request(words=["a"] * 6), "INVALID_ARGUMENT", "unknown key 'words'; expected text_a, text_b"),
        (lambda: predict_request(texts=["a" * 3_000_000]), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_a_code(stub, request_of, code, message):
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request_of(), timeout=60)
    assert raised.value.code().name == code
    assert message in raised.value.details()


def test_a_key_is_asked_for(server):
    from serving.protocols.tensorflow_grpc import PredictionServer

    key = "a key of many characters"
    service = Service(server.server.models, RequestLimits(), server.server._service.metrics)

    async def started():
        guarded = PredictionServer(service, ApiKeys([key]), "127.0.0.1", 0, 10)
        await guarded.start()
        return guarded

    guarded = server.in_loop(started())
    try:
        with grpc.insecure_channel(f"127.0.0.1:{guarded.port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            for metadata in ((), (("authorization", "Bearer wrong"),)):
                with pytest.raises(grpc.RpcError) as raised:
                    stub.Predict(predict_request(), timeout=60, metadata=metadata)
                assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
            found = stub.Predict(predict_request(), timeout=60, metadata=(("authorization", f"Bearer {key}"),))
            assert found.model_spec.name == "reviews"
    finally:
        server.in_loop(guarded.close())
