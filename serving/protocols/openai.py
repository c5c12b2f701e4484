"""`/v1/embeddings` and the list of models, as clients of OpenAI ask for them.

    GET  /v1/models          models that give vectors
    POST /v1/embeddings      {"model", "input": text or [text], "encoding_format": "float" or "base64", "dimensions"}

A text that is longer than the model reads is refused, unless `"truncate": true` stands beside the input.

Source: github.com/openai/openai-openapi, `createEmbedding`.
"""

import base64
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import InvalidRequestError, RequestError
from serving.protocols.fields import check_fields, flag, whole_number
from serving.protocols.vectors import check_length, gives_vectors, shortened
from serving.service import Service, attended, endpoint, json_mapping, json_response, read_json

FIELDS = ("model", "input", "encoding_format", "dimensions", "user", "truncate")
FORMATS = ("float", "base64")


def routes(service: Service) -> list[Route]:
    """The paths of the protocol."""
    return [
        Route("/v1/models", endpoint(service, "openai.models", _models, _error), methods=["GET"]),
        Route("/v1/embeddings", endpoint(service, "openai.embeddings", _embeddings, _error), methods=["POST"]),
    ]


def _error(error: RequestError) -> dict[str, Any]:
    kind = "invalid_request_error" if error.status < 500 and error.status != 429 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": None, "code": None}}


async def _models(service: Service, request: Request) -> Response:
    del request
    served = [model.version for model in service.models if gives_vectors(model.version.description)]
    data = [{"id": one.name, "object": "model", "created": one.number, "owned_by": "local"} for one in served]
    return json_response({"object": "list", "data": data})


async def _embeddings(service: Service, request: Request) -> Response:
    body = json_mapping(await read_json(request, service.limits))
    check_fields(body, FIELDS)
    name, truncates = body.get("model"), flag(body, "truncate", False)
    if not isinstance(name, str):
        raise InvalidRequestError("the body needs model, the name of a model")
    version = service.models.first(gives_vectors, "vectors", name)
    form = "float" if body.get("encoding_format") is None else body["encoding_format"]
    if form not in FORMATS:
        raise InvalidRequestError(f"encoding_format is {str(form)[:80]!r}, expected {' or '.join(FORMATS)}")
    dimensions = whole_number(body, "dimensions")
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    service.limits.check_count(len(texts))
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError("input is no text and no list of texts; this server takes no token ids")
    answers = await attended(request, version.answer([{"text_a": text} for text in texts], service.limits))
    check_length(answers, truncates)
    tokens = sum(answer["num_tokens"] for answer in answers)
    data = [
        {
            "object": "embedding",
            "index": index,
            # A part of a vector has another length, which OpenAI's vectors always have as 1.
            "embedding": _encoded(shortened(answer["vector"], dimensions, dimensions is not None), form),
        }
        for index, answer in enumerate(answers)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_response({"object": "list", "data": data, "model": version.name, "usage": usage})


def _encoded(vector: list[float], form: str) -> Any:
    return vector if form == "float" else base64.b64encode(np.array(vector, "<f4").tobytes()).decode()
