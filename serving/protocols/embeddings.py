"""`/embed`, `/embed_all`, `/predict`, `/rerank` in the form of text-embeddings-inference.

    POST /embed       {"inputs": text or [text, ...], "normalize": true, "truncate": false, "dimensions"}
    POST /embed_all   the same for a model with a vector a token -> [[vector, ...], ...]
    POST /predict     {"inputs": text, [text, text], or [[text], [text, text], ...]} -> [{"score", "label"}, ...]
    POST /rerank      {"query", "texts", "return_text": false} -> [{"index", "score"}, ...]
    GET  /info        what is served

Each takes the first model that gives what is asked for, or the one named by `"model"`. A text that is too long is
refused for vectors unless `truncate` is true, and cut for `/predict` and `/rerank` unless it is false. The number of a
regression becomes a score between 0 and 1 by the logistic function, unless `raw_scores` is true. A classifier ranks by
the probability of the label named by `"label"`.

Source: github.com/huggingface/text-embeddings-inference, `router/src/http/types.rs`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import InvalidRequestError, OverloadedError, RequestError, UnprocessableError
from serving.models import Version
from serving.protocols.fields import check_fields, flag, whole_number
from serving.protocols.vectors import check_length, gives_vectors, shortened
from serving.rows import Description, Row
from serving.service import Service, attended, endpoint, json_mapping, json_response, read_json
from tasks import exports
from tasks.answers import Answer

FIELDS: Mapping[str, tuple[str, ...]] = {
    "embed": ("inputs", "model", "truncate", "normalize", "dimensions"),
    "embed_all": ("inputs", "model", "truncate"),
    "predict": ("inputs", "model", "truncate", "raw_scores"),
    "rerank": ("query", "texts", "model", "truncate", "raw_scores", "return_text", "label"),
}
"""Of the requests, by path."""


def routes(service: Service) -> list[Route]:
    """The paths of the protocol."""
    handlers = {"embed": _embed, "embed_all": _embed_all, "predict": _predict, "rerank": _rerank}
    made = [
        Route(f"/{name}", endpoint(service, f"embeddings.{name}", handler, _error), methods=["POST"])
        for name, handler in handlers.items()
    ]
    return [*made, Route("/info", endpoint(service, "embeddings.info", _info, _error), methods=["GET"])]


def _error(error: RequestError) -> dict[str, str]:
    kind = "Overloaded" if isinstance(error, OverloadedError) else "Validation" if error.status < 500 else "Backend"
    return {"error": str(error), "error_type": kind}


async def _embed(service: Service, request: Request) -> Response:
    body = await _body(service, request, "embed")
    normalize, dimensions = flag(body, "normalize", True), whole_number(body, "dimensions")
    answers = await _vectors(service, request, body, gives_vectors, "vectors")
    return json_response([shortened(answer["vector"], dimensions, normalize) for answer in answers])


async def _embed_all(service: Service, request: Request) -> Response:
    body = await _body(service, request, "embed_all")
    answers = await _vectors(service, request, body, _gives_token_vectors, "vectors of tokens (--pooling=none)")
    return json_response([answer["vectors"] for answer in answers])


def _gives_token_vectors(description: Description) -> bool:
    return description.problem_type == "vectors" and not gives_vectors(description)


async def _vectors(
    service: Service, request: Request, body: dict[str, Any], fits: Callable[[Description], bool], kind: str
) -> list[Answer]:
    given, truncates = body.get("inputs"), flag(body, "truncate", False)
    texts = given if isinstance(given, list) else [given]
    service.limits.check_count(len(texts))
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError("inputs is no text and no list of texts")
    version = service.models.first(fits, kind, _name(body))
    answers = await attended(request, version.answer([{"text_a": text} for text in texts], service.limits))
    check_length(answers, truncates)
    return answers


async def _predict(service: Service, request: Request) -> Response:
    body = await _body(service, request, "predict")
    given, is_raw, truncates = body.get("inputs"), flag(body, "raw_scores", False), flag(body, "truncate", True)
    is_batch = isinstance(given, list) and bool(given) and all(isinstance(one, list) for one in given)
    rows = [_row(one) for one in given] if is_batch and isinstance(given, list) else [_row(given)]
    service.limits.check_count(len(rows))
    version = service.models.first(_scores, "labels", _name(body))
    answers = await _of_rows(service, request, version, rows, truncates)
    found = [_predictions(answer, is_raw) for answer in answers]
    return json_response(found if is_batch else found[0])


async def _of_rows(
    service: Service, request: Request, version: Version, rows: Sequence[Row], truncates: bool
) -> list[Answer]:
    """Answers of rows; unlike vectors they do not say whether a row was cut."""
    answers = await attended(request, version.answer(rows, service.limits))
    if not truncates:
        check_length(await version.lengths.of(rows), truncates)
    return answers


def _row(given: Any) -> Row:
    texts = given if isinstance(given, list) else [given]
    if len(texts) not in (1, 2) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError("inputs is no text, no pair [text, text] and no list of [text] and [text, text]")
    return dict(zip(("text_a", "text_b"), texts, strict=False))


def _scores(description: Description) -> bool:
    return description.text_names == ("text_a", "text_b") and (
        bool(description.labels) or exports.reader(description.problem_type).predicts_number
    )


def _predictions(answer: Answer, is_raw: bool) -> list[dict[str, Any]]:
    """Labels with their scores, the highest first."""
    if "probabilities" not in answer:
        return [{"score": _score(answer["label"], is_raw), "label": "score"}]
    if is_raw:
        raise UnprocessableError("raw_scores is true, but this model gives probabilities; leave it out")
    ranked = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    return [{"score": p, "label": label} for label, p in ranked]


def _score(number: float, is_raw: bool) -> float:
    return number if is_raw else 0.5 * (1.0 + math.tanh(0.5 * number))


async def _rerank(service: Service, request: Request) -> Response:
    body = await _body(service, request, "rerank")
    query, texts, is_raw = body.get("query"), body.get("texts"), flag(body, "raw_scores", False)
    shows_text, truncates = flag(body, "return_text", False), flag(body, "truncate", True)
    if not isinstance(query, str) or not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise InvalidRequestError("the body needs query, a text, and texts, a list of texts")
    service.limits.check_count(len(texts))
    version = service.models.first(_scores, "scores of pairs", _name(body))
    label = _ranking_label(body, version, is_raw)
    rows: Sequence[Row] = [{"text_a": query, "text_b": text} for text in texts]
    answers = await _of_rows(service, request, version, rows, truncates)
    scores = [
        _score(answer["label"], is_raw) if label is None else answer["probabilities"][label] for answer in answers
    ]
    ranked = sorted(range(len(texts)), key=lambda index: -scores[index])
    further = (lambda index: {"text": texts[index]}) if shows_text else lambda index: {}
    return json_response([{"index": index, "score": scores[index]} | further(index) for index in ranked])


def _ranking_label(body: dict[str, Any], version: Version, is_raw: bool) -> str | None:
    """The label whose probability ranks texts; None where the model gives a number."""
    labels = version.description.labels
    if not labels:
        return None
    label = body.get("label", "1" if set(labels) == {"0", "1"} else None)
    if label not in labels:
        raise UnprocessableError(
            f'model {version.name} is a classifier; send "label", whose probability ranks: {", ".join(labels[:20])}'
        )
    if is_raw:
        raise UnprocessableError("raw_scores is true, but this model gives probabilities; leave it out")
    return str(label)


async def _info(service: Service, request: Request) -> Response:
    del request
    version = service.models.version()
    description = version.description
    kind: dict[str, Any] = {"embedding": {"pooling": description.settings.get("vectors", {}).get("pooling")}}
    if _scores(description):
        labels = {str(index): label for index, label in enumerate(description.labels)}
        kind = {"classifier": {"id2label": labels, "label2id": {label: int(index) for index, label in labels.items()}}}
    return json_response(
        {
            "model_id": version.name,
            "model_sha": str(version.number),
            "model_dtype": "float32",
            "model_type": kind,
            "max_input_length": description.max_seq_length,
            "max_client_batch_size": service.limits.max_texts,
        }
    )


async def _body(service: Service, request: Request, path: str) -> dict[str, Any]:
    body = json_mapping(await read_json(request, service.limits))
    check_fields(body, FIELDS[path])
    return body


def _name(body: dict[str, Any]) -> str | None:
    name = body.get("model")
    if name is not None and not isinstance(name, str):
        raise InvalidRequestError("model is no text")
    return name
