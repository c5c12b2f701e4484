"""The page for people at `/`, and what it asks for.

    GET  /               one file, which loads nothing else
    GET  /api/models     the models with their cards
    GET  /api/load       counts since the start
    POST /api/answer     {"model", "row": {name: text}} -> {"answer"}, as in a prediction file

The browser is told to run the script of the page alone (`Content-Security-Policy`).
"""

import base64
import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.cards import card
from serving.errors import InvalidRequestError, RequestError
from serving.service import Service, attended, endpoint, json_mapping, json_response, read_json

PAGE = Path(__file__).parent.parent / "page" / "index.html"


def routes(service: Service) -> list[Route]:
    """The paths of the page."""
    content = PAGE.read_bytes()
    headers = _headers(content)

    async def page(service: Service, request: Request) -> Response:
        del service, request
        return Response(content, headers=headers, media_type="text/html; charset=utf-8")

    return [
        Route("/", endpoint(service, "page", page, _error), methods=["GET"]),
        Route("/api/models", endpoint(service, "page.models", _models, _error), methods=["GET"]),
        Route("/api/load", endpoint(service, "page.load", _load, _error), methods=["GET"]),
        Route("/api/answer", endpoint(service, "page.answer", _answer, _error), methods=["POST"]),
    ]


def _headers(content: bytes) -> dict[str, str]:
    script, style = (_hash(content, name) for name in (b"script", b"style"))
    # Bars have their width as a style of their own, which the script sets and needs no permission.
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _hash(content: bytes, name: bytes) -> str:
    """What the one element of a name holds, as a source of a policy."""
    (text,) = re.findall(b"<" + name + b">(.*?)</" + name + b">", content, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"


def _error(error: RequestError) -> dict[str, str]:
    return {"error": str(error)}


async def _models(service: Service, request: Request) -> Response:
    del request
    return json_response({"models": [card(model.version) for model in service.models]})


async def _load(service: Service, request: Request) -> Response:
    del request
    waiting = sum(model.version.batcher.waiting_rows for model in service.models)
    return json_response(service.metrics.totals() | {"waiting": waiting, "ready": service.models.are_ready()})


async def _answer(service: Service, request: Request) -> Response:
    body = json_mapping(await read_json(request, service.limits))
    if not isinstance(body.get("model"), str):
        raise InvalidRequestError("the body needs model, the name of a model")
    version = service.models.version(body["model"])
    row = json_mapping(body.get("row"), "row")
    (answer,) = await attended(request, version.answer([row], service.limits))
    return json_response({"answer": answer})
