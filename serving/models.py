"""The models of a server: which export each comes from, its processes, and the change to a newer export."""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common.errors import BertError, ExportError
from common.run_directory import RunDirectory
from serving.batcher import Batch, Batcher
from serving.engines import AUTO
from serving.errors import NotFoundError, UnavailableError
from serving.metrics import Metrics
from serving.rows import Description
from serving.settings import BatchLimits, RequestLimits
from serving.worker import Worker, WorkerDiedError, refused
from tasks.answers import Answer

log = logging.getLogger(__name__)

RESTART_SECONDS = (0.0, 1.0, 5.0, 15.0, 60.0)
"""Pauses before the attempts to start a process again; the last one repeats."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the exports of a model are: one export, a folder of them, or an output directory.

    Args:
      path: as the command names it.
    """

    path: Path

    def newest(self) -> Path:
        """The export to serve.

        Raises:
          ExportError: there is none.
        """
        if (self.path / "saved_model.pb").is_file():
            return self.path
        found = RunDirectory(self.path).latest_export() or _newest_in(self.path)
        if found is None:
            raise ExportError(
                f"--export={self.path}: no export there; expected an export, a folder of exports or an --output_dir; "
                "make one with --do_export"
            )
        return found


def _newest_in(folder: Path) -> Path | None:
    exports = [path.parent for path in folder.glob("*/saved_model.pb") if path.parent.name.isdigit()]
    return max(exports, key=lambda path: int(path.name), default=None)


class Version:
    """An export that is loaded: one process a device, which share one queue."""

    def __init__(
        self, name: str, export_dir: Path, devices: Sequence[str | None], metrics: Metrics, engine: str = AUTO
    ) -> None:
        self.name = name
        self.export_dir = export_dir
        self.number = int(export_dir.name) if export_dir.name.isdigit() else 1
        self.metrics = metrics
        self.workers = [Worker(export_dir, device, engine) for device in devices]
        self.ready_workers = 0
        self._threads = ThreadPoolExecutor(len(self.workers), thread_name_prefix=f"model-{name}")
        self._tasks: list[asyncio.Task[None]] = []
        self._description: Description | None = None
        self._batcher: Batcher | None = None

    @property
    def description(self) -> Description:
        """What the export says of itself; once it is loaded."""
        assert self._description is not None
        return self._description

    @property
    def batcher(self) -> Batcher:
        """The queue; once the export is loaded."""
        assert self._batcher is not None
        return self._batcher

    async def load(self, limits: BatchLimits) -> None:
        """Starts the processes and takes requests.

        Raises:
          ExportError: the export cannot be loaded.
        """
        started = time.monotonic()
        try:
            descriptions = await asyncio.gather(*(self._in_thread(worker.start) for worker in self.workers))
        except BaseException:
            self.kill()
            raise
        self._description = descriptions[0]
        self._batcher = Batcher(limits, self.description.tokens)
        self.ready_workers = len(self.workers)
        self._tasks = [asyncio.create_task(self._work(worker)) for worker in self.workers]
        log.info("loaded %s version %d in %.1f s from %s", self.name, self.number, time.monotonic() - started,
                 self.export_dir)  # fmt: skip

    async def answer(self, rows: Sequence[Mapping[str, Any]], limits: RequestLimits) -> list[Answer]:
        """Answers the rows of one request.

        Raises:
          RequestError: they cannot be answered, or not now.
        """
        self.description.check(rows, limits)
        return await self.batcher.answer(rows, limits.deadline_s)

    async def close(self) -> None:
        """Answers what waits, then ends the processes."""
        self.batcher.close()
        await self.batcher.drained()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            worker.kill()  # one may be starting again
        await asyncio.to_thread(self._threads.shutdown)
        for worker in self.workers:
            worker.stop()

    def kill(self) -> None:
        """Ends the processes, whatever they do."""
        for worker in self.workers:
            worker.kill()
        self._threads.shutdown(wait=False)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def _work(self, worker: Worker) -> None:
        """Computes batches with one process, and starts it again when it dies."""
        while True:
            async with self.batcher.batch() as batch:
                died = await self._computed(worker, batch)
            if died:
                self.ready_workers -= 1
                await self._restart(worker)
                self.ready_workers += 1

    async def _computed(self, worker: Worker, batch: Batch) -> bool:
        """Computes a batch; gives whether the process died of it."""
        started = time.monotonic()
        try:
            found = await self._in_thread(worker.answer, batch.rows)
        except WorkerDiedError as error:
            log.error("%s: the process of the model %s with a batch of %d texts", self.name, error, len(batch.rows))
            self.metrics.observe_crash(self.name)
            batch.fail(refused(error))
            return True
        self.metrics.observe_batch(self.name, len(batch.rows), batch.tokens, batch.waited, time.monotonic() - started)
        batch.resolve(found)
        return False

    async def _restart(self, worker: Worker) -> None:
        for attempt in range(1_000_000):
            await asyncio.sleep(RESTART_SECONDS[min(attempt, len(RESTART_SECONDS) - 1)])
            try:
                await self._in_thread(worker.start)
            except ExportError as error:
                log.error("%s: cannot be started again: %s", self.name, error)
            else:
                log.info("%s: the process of the model runs again", self.name)
                return


class ServedModel:
    """A model by its name: the newest export of its source, exchanged without a gap.

    Args:
      name: in requests.
      source: where its exports are.
      devices: a process for each.
      limits: of batches.
      engine: what computes the answers, one of `serving.engines.ENGINES`.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        devices: Sequence[str | None],
        limits: BatchLimits,
        metrics: Metrics,
        engine: str = AUTO,
    ) -> None:
        self.name = name
        self._source = source
        self._devices = devices
        self._limits = limits
        self._metrics = metrics
        self._engine = engine
        self._failed: Path | None = None
        self._version: Version | None = None

    @property
    def version(self) -> Version:
        """The version that answers new requests.

        Raises:
          UnavailableError: none is loaded.
        """
        if self._version is None:
            raise UnavailableError(f"model {self.name} is being loaded; try again soon")
        return self._version

    def is_ready(self) -> bool:
        """Whether a process is there to answer."""
        return self._version is not None and self._version.ready_workers > 0

    async def load(self) -> None:
        """Loads the newest export.

        Raises:
          ExportError: there is none, or it cannot be loaded.
        """
        await self._change_to(self._source.newest())
        self._metrics.watch_queue(self.name, lambda: self._version.batcher.waiting_rows if self._version else 0)

    async def update(self) -> bool:
        """Changes to a newer export where there is one; one that cannot be loaded is reported and left alone."""
        try:
            newest = await asyncio.to_thread(self._source.newest)
        except (ExportError, OSError):
            return False  # what is loaded goes on
        if self._version is None or newest in (self._version.export_dir, self._failed):
            return False
        try:
            await self._change_to(newest)
        except BertError as error:
            self._failed = newest
            log.error("%s stays at version %d: %s", self.name, self._version.number, error)
            return False
        return True

    async def _change_to(self, export_dir: Path) -> None:
        version = Version(self.name, export_dir, self._devices, self._metrics, self._engine)
        await version.load(self._limits)
        before, self._version = self._version, version
        if before is not None:
            await before.close()

    async def close(self) -> None:
        """Answers what waits, then ends the processes."""
        if self._version is not None:
            await self._version.close()

    def kill(self) -> None:
        """Ends the processes."""
        if self._version is not None:
            self._version.kill()


class Models:
    """The models of a server by name."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Any:
        return iter(self._models.values())

    def version(self, name: str | None = None, number: int | None = None) -> Version:
        """The loaded version of a model; of the first one where no name is given.

        Raises:
          NotFoundError: no model of this name, or another version is loaded.
          UnavailableError: it is not loaded.
        """
        if name is None:
            name = next(iter(self._models))
        if name not in self._models:
            raise NotFoundError(f"no model {name[:80]!r}; served: {', '.join(self._models)}")
        version = self._models[name].version
        if number is not None and number != version.number:
            raise NotFoundError(f"model {name} has no version {number}; loaded: {version.number}")
        return version

    def first(self, fits: Callable[[Description], bool], kind: str, name: str | None = None) -> Version:
        """The first model that can answer a kind of request, or that of a name.

        Args:
          fits: whether a model can.
          kind: what such models give, for messages.
          name: of the model; None for any.

        Raises:
          NotFoundError: there is none, or the named one cannot.
          UnavailableError: it is not loaded.
        """
        if name is None:
            found = [model.version for model in self if fits(model.version.description)]
            if not found:
                raise NotFoundError(f"no model gives {kind}; served: {', '.join(self._models)}")
            return found[0]
        version = self.version(name)
        if not fits(version.description):
            raise NotFoundError(f"model {version.name} gives no {kind}")
        return version

    def are_ready(self) -> bool:
        """Whether every model can answer."""
        return all(model.is_ready() for model in self._models.values())

    async def load(self) -> None:
        """Loads every model.

        Raises:
          ExportError: one cannot be loaded.
        """
        try:
            for model in self._models.values():
                await model.load()
        except BaseException:
            self.kill()
            raise

    async def watch(self, seconds: float) -> None:
        """Looks for newer exports for ever."""
        while True:
            await asyncio.sleep(seconds)
            for model in self._models.values():
                with contextlib.suppress(OSError):
                    await model.update()

    async def close(self) -> None:
        """Answers what waits, then ends the processes."""
        await asyncio.gather(*(model.close() for model in self._models.values()))

    def kill(self) -> None:
        """Ends the processes."""
        for model in self._models.values():
            model.kill()
