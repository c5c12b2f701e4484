"""Around every request over HTTP: its id, the API key, the access log, and a limit on how slowly an answer is taken."""

import asyncio
import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import FlagError
from serving.errors import RequestError
from serving.metrics import Metrics
from serving.service import error_response

log = logging.getLogger("serving.access")

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
MIN_KEY_LENGTH = 16


class ApiKeys:
    """Keys that clients send as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Args:
      keys: those that are accepted; with none, everybody is.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request has one; takes as long for a wrong key as for a right one."""
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = _digest(token.strip() if kind.lower() == b"bearer" else headers.get(b"x-api-key", b""))
        return any([hmac.compare_digest(given, digest) for digest in self._digests])  # noqa: C419 - never stops early


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def read_keys(path: Path) -> ApiKeys:
    """Keys from a file, one a line.

    Raises:
      FlagError: it cannot be read, holds no key, or one that can be tried out.
    """
    try:
        keys = [line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "holds more than ASCII"
        raise FlagError(
            f"--api_key_file={path}: cannot be read ({reason}); give a text file with a key a line"
        ) from None
    if not keys or min(map(len, keys)) < MIN_KEY_LENGTH:
        found = "no key" if not keys else "a key that is shorter"
        raise FlagError(f"--api_key_file={path}: holds {found}; expected keys of {MIN_KEY_LENGTH} characters or more")
    return ApiKeys(keys)


class Gate:
    """ASGI middleware.

    Args:
      app: what answers.
      keys: that are asked for.
      open_paths: paths that need no key.
      metrics: take the request.
      write_timeout_s: seconds that a client may take for a part of the answer.
    """

    def __init__(
        self, app: ASGIApp, keys: ApiKeys, open_paths: Collection[str], metrics: Metrics, write_timeout_s: float
    ) -> None:
        self._app = app
        self._keys = keys
        self._open_paths = open_paths
        self._metrics = metrics
        self._write_timeout_s = write_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; connections of other kinds are passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        headers = dict(scope["headers"])
        scope["request_id"] = _request_id(headers)
        sender = _Sender(send, scope["request_id"], self._write_timeout_s)
        try:
            if self._keys and scope["path"] not in self._open_paths and not self._keys.accept(headers):
                scope["operation"] = "unauthorized"
                await _unauthorized()(scope, receive, sender)
            else:
                await self._app(scope, receive, sender)
        finally:
            seconds = time.monotonic() - started
            operation = scope.get("operation", "unknown")
            self._metrics.observe_request(operation, sender.status, seconds)
            log.info("%s", _line(scope, operation, sender.status, seconds))


class _Sender:
    """Sends a response with its request id; a client that takes no more ends it."""

    def __init__(self, send: Send, request_id: str, timeout_s: float) -> None:
        self._send = send
        self._request_id = request_id
        self._timeout_s = timeout_s
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id.encode())]
        async with asyncio.timeout(self._timeout_s):
            await self._send(message)


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The client's, where it is plain enough for a log; else a new one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _unauthorized() -> ASGIApp:
    error = RequestError("the API key is missing or wrong; send Authorization: Bearer KEY")
    error.status = 401
    return error_response(error, lambda one: {"error": str(one)})


def _line(scope: Scope, operation: str, status: int, seconds: float) -> str:
    client = scope.get("client") or ("", 0)
    return json.dumps(
        {
            "id": scope["request_id"],
            "client": client[0],
            "method": scope["method"],
            "path": scope["path"][:200],
            "operation": operation,
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
    )
