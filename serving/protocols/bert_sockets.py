"""bert-as-service 1.10 over ZeroMQ: clients push requests to one socket and are told answers by another.

Request: identity, payload, number of the request, number of texts. Payload: a JSON list of texts or of lists of tokens,
or `SHOW_CONFIG`, `SHOW_STATUS`. Answer: identity, JSON, the bytes of an array where one was asked for, number of the
request. The protocol has no errors: a client that got no answer would wait for ever. So every request that can be
answered at all is, one that cannot be with an array of no rows, and the log says why.

Nobody can end the server from afar, as `TERMINATION` asks.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import zmq
import zmq.asyncio

from common.errors import FlagError
from serving.errors import DeadlineError, OverloadedError, RequestError, UnavailableError
from serving.models import Version
from serving.protocols.bert_as_service import arrays, configuration, model, rows_of, status
from serving.rows import Row
from serving.service import Service, parsed
from tasks.answers import Answer

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 64
"""Texts of a request that enter the queue together."""
MOST_REQUESTS = 256
"""Requests that are read before one of them is answered; further ones wait in the sockets."""
SUBSCRIPTION_SECONDS = 2.0
"""How long an answer waits for its client to listen."""
CRASHES = 3
"""Times that a request is computed again whose process has died."""
QUESTIONS: dict[bytes, Callable[[Service], dict[str, Any]]] = {b"SHOW_CONFIG": configuration, b"SHOW_STATUS": status}


class BertSockets:
    """The pair of sockets.

    Args:
      service: models, limits, statistics.
      host: address to listen at.
      port: for requests; 0 takes any that is free.
      port_out: for answers; 0 takes any that is free.

    Attributes:
      ports: the two, once they are bound.
    """

    def __init__(self, service: Service, host: str, port: int, port_out: int) -> None:
        self._service = service
        self._host = host
        self._asked = (port, port_out)
        self.ports = (0, 0)
        self._context = zmq.asyncio.Context()
        self._requests = self._context.socket(zmq.PULL)
        self._answers = self._context.socket(zmq.XPUB)
        self._listening: set[bytes] = set()
        self._listens = asyncio.Condition()
        self._free = asyncio.Semaphore(MOST_REQUESTS)
        self._parts: asyncio.Semaphore | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens.

        Raises:
          FlagError: no model gives vectors, or an address cannot be had.
        """
        try:
            model(self._service)
        except RequestError as error:
            raise FlagError(f"--bert_port={self._asked[0]}: {error}") from None
        # Half of the queue is left to others.
        most_waiting = min(one.version.batcher.limits.max_queue for one in self._service.models)
        self._parts = asyncio.Semaphore(max(1, most_waiting // (2 * ROWS_AT_ONCE)))
        largest = 16 * self._service.limits.max_body_bytes  # one above the limit can still be told so
        for socket in (self._requests, self._answers):
            socket.setsockopt(zmq.LINGER, 1000)
            socket.setsockopt(zmq.IPV6, ":" in self._host)
            socket.setsockopt(zmq.MAXMSGSIZE, largest)
        self._answers.setsockopt(zmq.XPUB_VERBOSER, 1)
        self.ports = (self._bound(self._requests, self._asked[0]), self._bound(self._answers, self._asked[1]))
        self._loops = [asyncio.create_task(self._read()), asyncio.create_task(self._follow())]
        log.info("bert-as-service at %s, ports %d and %d", self._host, *self.ports)

    def _bound(self, socket: Any, port: int) -> int:
        address = f"tcp://[{self._host}]" if ":" in self._host else f"tcp://{self._host}"
        try:
            socket.bind(f"{address}:{port or '*'}")
        except zmq.ZMQError as error:
            raise FlagError(
                f"--bert_port, --bert_port_out: {port} cannot be listened at on {self._host} ({error.strerror}); "
                "choose another port"
            ) from None
        return int(socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0").rpartition(":")[2])

    async def close(self) -> None:
        """Reads no further request, and answers those it has read."""
        for loop in self._loops[:1]:
            loop.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._service.limits.deadline_s)
        for task in (*self._loops, *self._under_way):
            task.cancel()
        await asyncio.gather(*self._loops, *self._under_way, return_exceptions=True)
        self._context.destroy(1000)

    async def _read(self) -> None:
        while True:
            await self._free.acquire()
            task = asyncio.create_task(self._take(await self._requests.recv_multipart()))
            self._under_way.add(task)
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._free.release()
        if not task.cancelled() and task.exception() is not None:
            log.error("a request of bert-as-service", exc_info=task.exception())

    async def _follow(self) -> None:
        """Takes notice of who listens for answers."""
        while True:
            event = await self._answers.recv()
            async with self._listens:
                (self._listening.add if event[:1] == b"\x01" else self._listening.discard)(event[1:])
                self._listens.notify_all()

    async def _take(self, frames: Sequence[bytes]) -> None:
        if len(frames) != 4 or not (frames[2].isdigit() and frames[3].isdigit()):
            log.warning("bert-as-service: a message of %d frames that is no request was left alone", len(frames))
            return
        client, payload, number, _ = frames
        if payload == b"TERMINATION":
            log.warning("bert-as-service: %r asks to end the server, which nobody can from afar", client[:80])
            return
        name = client[:80].decode("latin-1")
        if payload in QUESTIONS:
            self._service.statistics.observe_system(name)
            parts = [json.dumps(QUESTIONS[payload](self._service)).encode()]
        else:
            parts = await self._encoded(name, payload)
        await self._tell([client, *parts, number])

    async def _encoded(self, client: str, payload: bytes) -> list[bytes]:
        """The description of an array, and its bytes."""
        vectors, tokens = np.zeros([0, 0], np.float32), ""
        try:
            if len(payload) > self._service.limits.max_body_bytes:
                raise RequestError(f"a request of {len(payload)} bytes (--max_body_bytes)")
            texts = parsed(payload)
            is_tokenized = isinstance(texts, list) and all(isinstance(text, list) for text in texts)
            rows = rows_of(texts, is_tokenized)
            self._service.statistics.observe_data(client, len(rows))
            vectors, tokens = arrays(*await self._by_one_version(rows))
        except RequestError as error:
            log.warning("bert-as-service: %r gets an array of no rows: %s", client, error)
        except Exception:
            log.exception("bert-as-service: %r gets an array of no rows", client)
        told = {"dtype": vectors.dtype.name, "shape": vectors.shape, "tokens": tokens}
        return [json.dumps(told).encode(), vectors.tobytes()]

    async def _by_one_version(self, rows: Sequence[Row]) -> tuple[Version, list[Answer]]:
        """The answers of all rows, and the version of the model that gave them.

        Where another one takes its place before all rows are in its queue, that one is asked for all of them.
        """
        parts = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
        while True:
            version = model(self._service)
            try:
                found = await asyncio.gather(*(self._computed(version, part) for part in parts))
            except UnavailableError:
                if version is model(self._service):
                    raise
                continue
            return version, [one for part in found for one in part]

    async def _computed(self, version: Version, rows: Sequence[Row]) -> list[Answer]:
        """The answers of some rows, however long the queue is.

        Raises:
          UnavailableError: another version has taken the place of this one, or its process dies each time.
        """
        assert self._parts is not None
        crashes = 0
        async with self._parts:
            while True:
                try:
                    return await version.answer(rows, self._service.limits)
                except OverloadedError as error:
                    await asyncio.sleep(min(error.retry_after, 1.0))
                except DeadlineError:
                    continue
                except UnavailableError:
                    crashes += 1
                    if crashes == CRASHES or version is not model(self._service):
                        raise
                    await asyncio.sleep(1.0)

    async def _tell(self, frames: Sequence[bytes]) -> None:
        """Sends an answer once its client listens: what is sent before is lost."""
        await _in_time(self._until_listening(frames[0]))
        await self._answers.send_multipart(frames)

    async def _until_listening(self, client: bytes) -> None:
        async with self._listens:
            await self._listens.wait_for(lambda: client in self._listening or b"" in self._listening)


async def _in_time(waiting: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(SUBSCRIPTION_SECONDS):
            await waiting
    except TimeoutError:
        log.warning("bert-as-service: a client does not listen for its answer; is its port_out right?")
