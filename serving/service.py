"""What every protocol over HTTP has in common: reading a request, waiting for its answer, refusing it."""

import asyncio
import dataclasses
import json
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from processors.reading import parse_json
from serving.errors import InvalidRequestError, OverloadedError, RequestError, TooLargeError, TooSlowError
from serving.metrics import Metrics
from serving.models import Models
from serving.settings import RequestLimits
from serving.statistics import Statistics

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CLIENT_GONE = 499
"""Status in logs and metrics of a request whose client did not wait."""


@dataclasses.dataclass(frozen=True)
class Service:
    """What the handlers of all protocols work with."""

    models: Models
    limits: RequestLimits
    metrics: Metrics
    statistics: Statistics = dataclasses.field(default_factory=Statistics)


Handler = Callable[[Service, Request], Awaitable[Response]]
ErrorBody = Callable[[RequestError], Any]


def endpoint(
    service: Service, operation: str, handler: Handler, error_body: ErrorBody
) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose errors become responses.

    Args:
      service: given to the handler.
      operation: its name in metrics and logs.
      handler: answers a request, or raises `RequestError`.
      error_body: the JSON form of an error in the protocol.
    """

    async def answered(request: Request) -> Response:
        request.scope["operation"] = operation
        try:
            return await handler(service, request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except RequestError as error:
            return error_response(error, error_body)
        except Exception:
            log.exception("request %s", request.scope.get("request_id"))
            return error_response(RequestError("internal error; the server's log has it"), error_body)

    return answered


def error_response(error: RequestError, error_body: ErrorBody) -> Response:
    """The response to a request that is refused."""
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, OverloadedError) else None
    return json_response(error_body(error), error.status, headers)


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response in JSON, in UTF-8 whatever a message repeats of a request: half of a surrogate pair is escaped."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "backslashreplace"), status, headers, media_type="application/json")


async def read_body(request: Request, limits: RequestLimits) -> bytes:
    """The body of a request.

    Raises:
      TooLargeError: it is above the limit.
      TooSlowError: it did not arrive in time.
      ClientDisconnect: the client left before it was whole.
    """
    most = limits.max_body_bytes
    too_large = TooLargeError(f"the body has more than {most} bytes; send several requests")
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated[:20]) > most:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.read_timeout_s):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise TooSlowError(f"the body did not arrive in {limits.read_timeout_s:g} seconds") from None
    return b"".join(parts)


async def read_json(request: Request, limits: RequestLimits) -> Any:
    """The body of a request, parsed.

    Raises:
      InvalidRequestError: it is not JSON.
      RequestError: as `read_body`.
    """
    return parsed(await read_body(request, limits))


def parsed(body: bytes) -> Any:
    """A JSON value from UTF-8.

    Raises:
      InvalidRequestError: it is not JSON.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequestError("the body is not UTF-8; send JSON in UTF-8") from None
    value, problem = parse_json(text)
    if problem:
        raise InvalidRequestError(f"the body is {problem}")
    return value


def json_mapping(value: Any, what: str = "the body") -> dict[str, Any]:
    """A JSON object.

    Raises:
      InvalidRequestError: it is something else.
    """
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{what} is no JSON object")
    return value


def returned(value: Any, name: str) -> Any:
    """A field that a client gets back as it sent it.

    Raises:
      InvalidRequestError: standard JSON in UTF-8 cannot say it.
    """
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise InvalidRequestError(
            f"{name} has half of a surrogate pair, or a number that is not finite; send valid Unicode and JSON"
        ) from None
    return value


async def attended(request: Request, answer: Awaitable[Result]) -> Result:
    """Waits for an answer while the client does; the rows of a client that has left are not computed.

    The answer is awaited in the handler's own task, so that a request enters the queue before anything else happens.

    Raises:
      ClientDisconnect: the client has left.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.create_task(_disconnected(request))
    watcher.add_done_callback(lambda ended: None if ended.cancelled() else task.cancel())
    try:
        return await answer
    except asyncio.CancelledError:
        if watcher.done() and not watcher.cancelled():
            task.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def finite(values: Any) -> bool:
    """Whether a number, or all in nested lists, can be written in standard JSON."""
    if isinstance(values, list):
        return all(finite(value) for value in values)
    return not isinstance(values, float) or math.isfinite(values)
