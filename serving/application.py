"""All protocols over HTTP as one application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.gate import ApiKeys, Gate
from serving.protocols import bert_as_service, embeddings, open_inference, openai, operation, page, tensorflow_rest
from serving.service import Service, json_response

PROTOCOLS = (operation, page, openai, tensorflow_rest, open_inference, embeddings, bert_as_service)
"""Modules with `routes(service)`, in the order in which paths are compared."""


def application(service: Service, keys: ApiKeys) -> ASGIApp:
    """The application of a server.

    Args:
      service: models, limits, metrics.
      keys: API keys that are asked for.
    """
    routes = [route for protocol in PROTOCOLS for route in protocol.routes(service)]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})
    return Gate(app, keys, operation.OPEN_PATHS, service.metrics, service.limits.read_timeout_s)


async def _no_such_path(request: Request, error: Exception) -> Response:
    """A path that no protocol has, or another method than it takes."""
    assert isinstance(error, HTTPException)
    request.scope.setdefault("operation", "unknown")
    return json_response({"error": f"{request.method} {request.url.path[:200]}: {error.detail}"}, error.status_code)
