"""Health, metrics and what a server serves: for those who run it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import RequestError
from serving.service import Service, endpoint, json_response

OPEN_PATHS = ("/", "/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")
"""Paths that need no API key: probes have none, and the page asks for one."""


def routes(service: Service) -> list[Route]:
    """The paths."""
    handlers = {"/health": _ready, "/health/ready": _ready, "/health/live": _live, "/metrics": _metrics}
    return [
        Route(path, endpoint(service, f"operation{path.replace('/', '.')}", handler, _error), methods=["GET"])
        for path, handler in handlers.items()
    ]


def _error(error: RequestError) -> dict[str, str]:
    return {"error": str(error)}


async def _live(service: Service, request: Request) -> Response:
    del service, request
    return json_response({"status": "live"})


async def _ready(service: Service, request: Request) -> Response:
    del request
    is_ready = service.models.are_ready()
    return json_response({"status": "ready" if is_ready else "not ready"}, 200 if is_ready else 503)


async def _metrics(service: Service, request: Request) -> Response:
    del request
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
