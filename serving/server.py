"""Runs a server: loads models, listens, follows newer exports, and stops without losing what it has accepted."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from common.errors import FlagError
from serving.application import application
from serving.connections import timed
from serving.gate import ApiKeys
from serving.metrics import Metrics
from serving.models import Models, Served
from serving.service import Service
from serving.settings import ServerSettings

log = logging.getLogger(__name__)

BACKLOG = 2048
MAX_HEADER_BYTES = 32 << 10


class Listener(Protocol):
    """Takes requests of a protocol that is not HTTP."""

    async def start(self) -> None:
        """Takes requests from now on; raises `FlagError` where it cannot."""

    async def close(self) -> None:
        """Takes no further request, and answers those that it has."""


class Server:
    """A server of models.

    Args:
      models: to load and serve.
      settings: where to listen.
      metrics: that the models were made with.
      keys: API keys that are asked for; none by default.
    """

    def __init__(
        self, models: Sequence[Served], settings: ServerSettings, metrics: Metrics, keys: ApiKeys | None = None
    ) -> None:
        self.models = Models(models)
        self.settings = settings
        self._keys = keys or ApiKeys()
        self._service = Service(self.models, settings.limits, metrics)
        self._http: _Http | None = None
        self.listeners: list[Listener] = []
        self._loading: asyncio.Task[None] | None = None
        self.address: tuple[str, int] | None = None

    async def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serves until `stop` is called, or the process gets SIGTERM or SIGINT.

        Args:
          ready: called once requests are taken.

        Raises:
          FlagError: the address cannot be listened at.
          ExportError: an export cannot be loaded.
        """
        listener = bound_socket(self.settings.host, self.settings.port)
        with contextlib.closing(listener), self._signals():
            self._loading = asyncio.create_task(self.models.load())
            await asyncio.wait([self._loading])
            if self._loading.cancelled():
                return
            self._loading.result()
            try:
                await self._serve(listener, ready)
            finally:
                self.models.kill()

    def stop(self) -> None:
        """Takes no further connection, answers what was accepted, and ends `run`; a second call ends it at once."""
        if self._http is None:
            if self._loading is not None:
                self._loading.cancel()
        elif self._http.should_exit:
            self._http.force_exit = True
        else:
            log.info("stopping: what was accepted is answered first; a second signal stops at once")
            self._http.should_exit = True

    async def _serve(self, listener: socket.socket, ready: Callable[[], None] | None) -> None:
        self._http = _Http(_config(application(self._service, self._keys), self.settings))
        self.address = listener.getsockname()[:2]
        host, port = self.address
        self.listeners = self._further()
        for one in self.listeners:
            await one.start()
        listener.listen(BACKLOG)  # so that whoever reads the next line can connect
        log.info("serving %s at http://%s:%d", ", ".join(model.name for model in self.models), host, port)
        if not is_loopback(host):
            log.warning("--host=%s: every machine that reaches this address can ask; %s", host, _protection(self._keys))
        serving = asyncio.create_task(self._http.serve([listener]))
        watching = asyncio.create_task(self.models.watch(self.settings.poll_seconds))
        try:
            while not self._http.started and not serving.done():
                await asyncio.sleep(0.01)
            if ready is not None:
                ready()
            await serving
        finally:
            watching.cancel()
        if not self._http.force_exit:
            for one in self.listeners:
                await one.close()
            await self.models.close()
        log.info("stopped")

    def _further(self) -> "list[Listener]":
        """What takes requests besides HTTP; imported only where it is asked for."""
        settings = self.settings
        found: list[Listener] = []
        if settings.grpc_port is not None:
            from serving.protocols.tensorflow_grpc import PredictionServer

            found.append(
                PredictionServer(self._service, self._keys, settings.host, settings.grpc_port, settings.max_connections)
            )
        if settings.bert_port is not None:
            from serving.protocols.bert_sockets import BertSockets

            found.append(BertSockets(self._service, settings.host, settings.bert_port, settings.bert_port_out))
        return found

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Lets signals stop the server, where this is the main thread, which alone receives them."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {}
        try:
            for number in numbers:
                before[number] = signal.getsignal(number)
                loop.add_signal_handler(number, self.stop)
        except (ValueError, RuntimeError):
            before.clear()
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


def _protection(keys: ApiKeys) -> str:
    return "an API key is asked for" if keys else "no API key is asked for (--api_key_file)"


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket at an address, before a model is loaded for it.

    Raises:
      FlagError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise FlagError(f"--host={host}: is no address of this machine ({error.strerror}); try 127.0.0.1") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise FlagError(
            f"--port={port}: cannot be listened at on {host} ({error.strerror}); choose another port, or end the "
            "process that has it"
        ) from None
    listener.setblocking(False)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    limits = settings.limits
    return uvicorn.Config(
        app,
        http=timed(limits.read_timeout_s),
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=max(1, round(limits.idle_timeout_s)),
        timeout_graceful_shutdown=max(1, round(limits.deadline_s + limits.read_timeout_s)),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )


class _Http(uvicorn.Server):
    """Leaves the signals to `Server`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
