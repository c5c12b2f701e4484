"""The models of a server: which export each comes from, its processes, and the change to a newer export."""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import BertError, ExportError
from common.run_directory import RunDirectory, newest_export
from serving.batcher import Batch, Batcher
from serving.engines import AUTO
from serving.errors import NotFoundError, UnavailableError
from serving.lengths import Lengths
from serving.metrics import Metrics
from serving.processes import Process, Processes
from serving.rows import Description
from serving.settings import BatchLimits, RequestLimits
from serving.worker import Worker, WorkerDiedError, refused
from tasks.answers import Answer

log = logging.getLogger(__name__)


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
        found = RunDirectory(self.path).latest_export() or newest_export(self.path)
        if found is None:
            raise ExportError(
                f"--export={self.path}: no export there; expected an export, a folder of exports or an --output_dir; "
                "make one with --do_export"
            )
        return found


State = dict[str, tuple[int, int]]
"""Size and time of each file, by its path."""


def _state(exports: Iterable[Path]) -> State:
    files = (path for export in exports for path in export.rglob("*") if path.is_file())
    found = {str(path): path.stat() for path in files}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


class Version:
    """An export that is loaded: its queue, which its processes empty.

    Args:
      name: of the model.
      export_dir: the export.
      processes: that hold it.
      description: what it says of itself.
      limits: of batches.
      metrics: that count them.
    """

    def __init__(
        self,
        name: str,
        export_dir: Path,
        processes: Processes,
        description: Description,
        limits: BatchLimits,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self.export_dir = export_dir
        self.number = int(export_dir.name) if export_dir.name.isdigit() else 1
        self.metrics = metrics
        self.description = description
        self.batcher = Batcher(limits, description.tokens)
        self.lengths = Lengths(export_dir, description)
        self._processes = processes
        self._tasks = [asyncio.create_task(self._work(process)) for process in processes]

    @property
    def workers(self) -> list[Worker]:
        """Its processes; other exports may be in them, too."""
        return self._processes.workers

    @property
    def ready_workers(self) -> int:
        """How many of them can answer."""
        return self._processes.ready_count

    async def answer(self, rows: Sequence[Mapping[str, Any]], limits: RequestLimits) -> list[Answer]:
        """Answers the rows of one request.

        Raises:
          RequestError: they cannot be answered, or not now.
        """
        self.description.check(rows, limits)
        return await self.batcher.answer(rows, limits.deadline_s)

    async def close(self) -> None:
        """Answers what waits, and asks the processes nothing any more."""
        self.batcher.close()
        await self.batcher.drained()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, process: Process) -> None:
        """Computes batches with one process, and starts it again when it dies."""
        while True:
            await self.batcher.ready()
            async with process.turn:
                if not self.batcher.waiting_rows:
                    continue  # another process has taken them meanwhile
                async with self.batcher.batch() as batch:
                    died = await self._computed(process, batch)
                if died:
                    await self._processes.restart(process)

    async def _computed(self, process: Process, batch: Batch) -> bool:
        """Computes a batch; gives whether the process died of it."""
        started = time.monotonic()
        try:
            found = await self._processes.answer(process, self.name, batch.rows)
        except WorkerDiedError as error:
            log.error("%s: the process of the model %s with a batch of %d texts", self.name, error, len(batch.rows))
            process.is_ready = False
            self.metrics.observe_crash(self.name)
            batch.fail(refused(error))
            return True
        self.metrics.observe_batch(self.name, len(batch.rows), batch.tokens, batch.waited, time.monotonic() - started)
        batch.resolve(found)
        return False


class ServedModel:
    """A model by its name.

    Args:
      name: in requests.
      loaded: versions by name, which change.
    """

    def __init__(self, name: str, loaded: Mapping[str, Version]) -> None:
        self.name = name
        self._loaded = loaded

    @property
    def version(self) -> Version:
        """The version that answers new requests.

        Raises:
          UnavailableError: none is loaded.
        """
        if self.name not in self._loaded:
            raise UnavailableError(f"model {self.name} is being loaded; try again soon")
        return self._loaded[self.name]

    def is_ready(self) -> bool:
        """Whether a process is there to answer."""
        return self.name in self._loaded and self._loaded[self.name].ready_workers > 0

    def waiting_rows(self) -> int:
        """Rows in its queue."""
        return self._loaded[self.name].batcher.waiting_rows if self.name in self._loaded else 0


class Served:
    """What shares processes: one model, or several on one base. Newer exports take their places without a gap.

    Args:
      sources: by the name of the model, where its exports are.
      devices: a process for each.
      limits: of batches.
      metrics: that count them.
      engine: what computes the answers, one of `serving.engines.ENGINES`.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        devices: Sequence[str | None],
        limits: BatchLimits,
        metrics: Metrics,
        engine: str = AUTO,
    ) -> None:
        self._sources = sources
        self._devices = devices
        self._limits = limits
        self._metrics = metrics
        self._engine = engine
        self._seen: State = {}
        self._failed: State = {}
        self._versions: dict[str, Version] = {}
        self._processes: Processes | None = None
        self.models = [ServedModel(name, self._versions) for name in sources]

    async def load(self) -> None:
        """Loads the newest exports.

        Raises:
          ExportError: there is none, or it cannot be loaded.
        """
        await self._change_to(self._newest())
        for model in self.models:
            self._metrics.watch_queue(model.name, model.waiting_rows)

    async def update(self) -> bool:
        """Changes to newer exports where there are some, once their files are the same at two calls.

        One that is still being copied is waited for. What cannot be loaded is reported, and left alone until its files
        change.
        """
        loaded = {name: version.export_dir for name, version in self._versions.items()}
        try:
            newest = await asyncio.to_thread(self._newest)
            if not loaded or newest == loaded:
                return False
            before, self._seen = self._seen, await asyncio.to_thread(_state, newest.values())
        except (ExportError, OSError):
            return False  # what is loaded goes on
        if self._seen != before or self._seen == self._failed:
            return False
        try:
            await self._change_to(newest)
        except BertError as error:
            self._failed = self._seen
            for name in (name for name in newest if newest[name] != loaded[name]):
                log.error("%s stays at version %d: %s", name, self._versions[name].number, error)
            return False
        return True

    def _newest(self) -> dict[str, Path]:
        return {name: source.newest() for name, source in self._sources.items()}

    async def _change_to(self, exports: Mapping[str, Path]) -> None:
        started = time.monotonic()
        processes = Processes(exports, self._devices, self._engine)
        descriptions = await processes.start()
        before, versions_before = self._processes, list(self._versions.values())
        self._processes = processes
        for name, path in exports.items():
            version = Version(name, path, processes, descriptions[name], self._limits, self._metrics)
            self._versions[name] = version
            log.info("loaded %s version %d in %.1f s from %s", name, version.number, time.monotonic() - started, path)
        await _closed(versions_before, before)

    async def close(self) -> None:
        """Answers what waits, then ends the processes."""
        await _closed(list(self._versions.values()), self._processes)

    def kill(self) -> None:
        """Ends the processes."""
        if self._processes is not None:
            self._processes.kill()


async def _closed(versions: Sequence[Version], processes: Processes | None) -> None:
    await asyncio.gather(*(version.close() for version in versions))
    if processes is not None:
        await processes.stop()


class Models:
    """The models of a server by name.

    Args:
      served: what they are loaded with.
    """

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = served
        self._models = {model.name: model for one in served for model in one.models}

    def __iter__(self) -> Iterator[ServedModel]:
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
            for one in self._served:
                await one.load()
        except BaseException:
            self.kill()
            raise

    async def watch(self, seconds: float) -> None:
        """Looks for newer exports for ever."""
        while True:
            await asyncio.sleep(seconds)
            for one in self._served:
                with contextlib.suppress(OSError):
                    await one.update()

    async def close(self) -> None:
        """Answers what waits, then ends the processes."""
        await asyncio.gather(*(one.close() for one in self._served))

    def kill(self) -> None:
        """Ends the processes."""
        for one in self._served:
            one.kill()
