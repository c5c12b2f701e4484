"""bert-as-service 1.10: what its clients ask for, and its paths over HTTP; its sockets are in `bert_sockets`.

    POST /encode           {"id", "texts": [text, ...], "is_tokenized": false} -> {"id", "result": [vector, ...]}
    GET  /status/server    configuration and statistics
    GET  /status/client    that of this path as a client

A text may be a pair, as in `first ||| second`, and with `is_tokenized` a list of tokens. Texts that are too long are
cut without a word, as bert-as-service does.

Source: the wheel of bert-serving-client 1.10.0; github.com/jina-ai/clip-as-service at v1.10.0, `server/http.py`.
"""

import importlib.metadata
import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from processors.text_lines import PAIR_SEPARATOR
from serving.errors import InvalidRequestError, RequestError
from serving.models import Version
from serving.protocols.fields import flag
from serving.rows import Description, Row
from serving.service import Service, attended, endpoint, json_mapping, json_response, read_json, returned
from serving.tensors import output_arrays
from tasks.answers import Answer
from tasks.vectors.answers import TOKEN_SEPARATOR

VERSION = "1.10.0"
"""Of the protocol; a client of another version refuses the server."""
NO_TOKEN = "\u200b"
"""A text that is not blank and has no token: its vector is that of the special tokens alone."""


def routes(service: Service) -> list[Route]:
    """The paths over HTTP."""
    return [
        Route("/encode", endpoint(service, "bert.encode", _encode, _error), methods=["POST"]),
        Route("/status/server", endpoint(service, "bert.status", _server_status, _error), methods=["GET"]),
        Route("/status/client", endpoint(service, "bert.status", _client_status, _error), methods=["GET"]),
    ]


def _error(error: RequestError) -> dict[str, Any]:
    return {"description": str(error), "type": type(error).__name__, "status": error.status}


async def _encode(service: Service, request: Request) -> Response:
    body = json_mapping(await read_json(request, service.limits))
    number = returned(body.get("id"), "id")
    rows = rows_of(body.get("texts"), flag(body, "is_tokenized", False))
    service.limits.check_count(len(rows))
    version = model(service)
    answers = await attended(request, version.answer(rows, service.limits))
    service.statistics.observe_data("http", len(rows))
    result = arrays(version, answers)[0].tolist()
    return json_response({"id": number, "result": result, "status": 200})


async def _server_status(service: Service, request: Request) -> Response:
    del request
    return json_response(status(service))


async def _client_status(service: Service, request: Request) -> Response:
    del request
    return json_response({"identity": "http", "client_version": VERSION, "output_fmt": "list", "timeout": -1})


def encodes(description: Description) -> bool:
    """Whether a model can answer."""
    return description.problem_type == "vectors"


def model(service: Service) -> Version:
    """The model that answers: the first that gives vectors.

    Raises:
      NotFoundError: there is none.
    """
    return service.models.first(encodes, "vectors (--vectors=FOLDER)")


def rows_of(texts: Any, is_tokenized: bool) -> list[Row]:
    """Rows of what a client sends.

    Args:
      texts: a list of texts, or of lists of tokens.
      is_tokenized: which of the two.

    Raises:
      InvalidRequestError: they are something else.
    """
    if not isinstance(texts, list) or not texts:
        raise InvalidRequestError("texts is no list of texts")
    return [_of_tokens(text) if is_tokenized else _of_text(text) for text in texts]


def _of_text(text: Any) -> Row:
    if not isinstance(text, str):
        raise InvalidRequestError(f"a text is a {type(text).__name__}, expected a string")
    first, separator, second = text.rpartition(PAIR_SEPARATOR)
    row = {"text_a": first, "text_b": second} if separator else {"text_a": text}
    return row if row["text_a"].strip() else row | {"text_a": NO_TOKEN}


def _of_tokens(tokens: Any) -> Row:
    if not isinstance(tokens, list) or not all(
        isinstance(token, str) and TOKEN_SEPARATOR not in token for token in tokens
    ):
        raise InvalidRequestError("a text in tokens is a list of strings without control characters")
    text = " ".join(tokens)
    return {"text_a": text if text.strip() else NO_TOKEN, "tokens": TOKEN_SEPARATOR.join(tokens)}


def arrays(version: Version, answers: Sequence[Answer]) -> tuple[NDArray[Any], Any]:
    """Vectors float32 `[N, D]`, or `[N, S, D]` of tokens, and the tokens of each text, "" where they are not shown."""
    vectors = np.ascontiguousarray(output_arrays(version.description, answers)["vectors"])
    shows = "tokens" in answers[0]
    return vectors, [answer["tokens"] for answer in answers] if shows else ""


def configuration(service: Service) -> dict[str, Any]:
    """What a client asks for when it connects: it reads `server_version`, `max_seq_len` and `show_tokens_to_client`."""
    version = model(service)
    settings = version.description.settings
    stated = settings["vectors"]
    return {
        "server_version": VERSION,
        "max_seq_len": version.description.max_seq_length,
        "show_tokens_to_client": settings["shows_tokens"],
        "model_dir": version.name,
        "pooling_layer": stated["layers"],
        "pooling_strategy": stated["pooling"],
        "mask_cls_sep": not stated["special_tokens"],
        "num_worker": len(version.workers),
        "tensorflow_version": importlib.metadata.version("tensorflow"),
        "python_version": platform.python_version(),
        "pyzmq_version": importlib.metadata.version("pyzmq"),
        "server_start_time": service.statistics.start_time,
    }


def status(service: Service) -> dict[str, Any]:
    """The configuration, the time, and the statistics."""
    return configuration(service) | {
        "server_current_time": str(time.strftime("%Y-%m-%d %H:%M:%S")),
        "statistic": service.statistics.summary(),
    }
