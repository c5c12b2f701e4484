"""A server of models that are functions: no process, no socket, every moment in the hand of a test."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from serving.application import application
from serving.gate import ApiKeys
from serving.metrics import Metrics
from serving.models import ServedModel, Version
from serving.rows import Description
from serving.service import Service
from serving.settings import BatchLimits, RequestLimits

Answering = Callable[[Mapping[str, Any]], dict[str, Any]]

VECTORS = Description(
    "vectors",
    ("text_a", "text_b", "tokens"),
    ("text_a",),
    (),
    16,
    settings={"vectors": {"pooling": "mean"}, "shows_tokens": False},
    outputs={"vectors": ("float32", 2)},
)
CHOICES = Description(
    "multiple_choice",
    ("question", "choices"),
    ("question", "choices"),
    (),
    16,
    settings={"lists": ["choices"]},
    outputs={"answer": ("text", 1)},
)


class _Process:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.is_ready = True


class _Processes:
    """What a `Version` needs of its processes."""

    workers: tuple[Any, ...] = ()
    ready_count = 1

    def __init__(self, answering: Answering, seconds: float) -> None:
        self._answering = answering
        self._seconds = seconds
        self._processes = [_Process()]

    def __iter__(self) -> Iterator[_Process]:
        return iter(self._processes)

    async def answer(self, process: Any, name: str, rows: Any) -> list[Any]:
        del process, name
        await asyncio.sleep(self._seconds)
        return [self._answering(row) for row in rows]


class InstantModels:
    """Models by name, as `serving.models.Served` holds them; made in an event loop.

    Attributes:
      service: of them.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        from serving.models import Models

        self._versions: dict[str, Version] = {}
        self.models = [ServedModel(name, self._versions) for name in names]
        self.service = Service(Models([self]), RequestLimits(), Metrics())  # type: ignore[list-item]

    async def change(
        self, name: str, number: int, description: Description, answering: Answering, seconds: float = 0.0
    ) -> None:
        """Puts a version in the place of the one before, which answers what it has taken, as a newer export does."""
        before = self._versions.get(name)
        processes: Any = _Processes(answering, seconds)
        self._versions[name] = Version(
            name, Path(f"/exports/{number}"), processes, description, BatchLimits(), self.service.metrics
        )
        if before is not None:
            await before.close()

    async def post(self, path: str, body: Any, arrives: Awaitable[Any] | None = None) -> tuple[int, bytes]:
        """Status and body of what the server answers.

        Args:
          path: of the request.
          body: sent as JSON.
          arrives: the body comes after this.
        """
        sent: list[Any] = []
        parts = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

        async def receive() -> Any:
            if not parts:
                await asyncio.sleep(3600)
            if arrives is not None:
                await arrives
            return parts.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [], "http_version": "1.1", "scheme": "http", "server": ("h", 1), "client": ("c", 1),
            "asgi": {"version": "3.0"}, "root_path": "",
        }  # fmt: skip
        await application(self.service, ApiKeys())(scope, receive, send)
        status = next(message["status"] for message in sent if message["type"] == "http.response.start")
        return status, b"".join(message.get("body", b"") for message in sent)
