"""The processes of the exports that are served together: asked in turn, and started again when they die."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common.errors import ExportError
from serving.engines import AUTO
from serving.errors import RequestError
from serving.rows import Description, Row
from serving.worker import Worker
from tasks.answers import Answer

log = logging.getLogger(__name__)

RESTART_SECONDS = (0.0, 1.0, 5.0, 15.0, 60.0)
"""Pauses before the attempts to start a process again; the last one repeats."""


class Process:
    """A process, and whose turn it is to ask it: the exports in it have a queue each.

    Args:
      worker: the process.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.turn = asyncio.Lock()
        self.is_ready = False


class Processes:
    """A process a device; each holds all the exports.

    Args:
      exports: export directories by model name; several stand on one base (`serving.adapters`).
      devices: values of CUDA_VISIBLE_DEVICES.
      engine: what computes the answers, one of `serving.engines.ENGINES`.
    """

    def __init__(self, exports: Mapping[str, Path], devices: Sequence[str | None], engine: str = AUTO) -> None:
        self.names = ", ".join(exports)
        self._processes = [Process(Worker(exports, device, engine)) for device in devices]
        self._threads = ThreadPoolExecutor(len(self._processes), thread_name_prefix=f"model-{next(iter(exports))}")

    def __iter__(self) -> Iterator[Process]:
        return iter(self._processes)

    @property
    def workers(self) -> list[Worker]:
        """The processes themselves."""
        return [process.worker for process in self._processes]

    @property
    def ready_count(self) -> int:
        """How many can answer."""
        return sum(process.is_ready for process in self._processes)

    async def start(self) -> dict[str, Description]:
        """Starts them; gives what each export says of itself, by its name.

        Raises:
          ExportError: an export cannot be loaded.
        """
        try:
            found = await asyncio.gather(*(self._in_thread(worker.start) for worker in self.workers))
        except BaseException:
            self.kill()
            raise
        for process in self._processes:
            process.is_ready = True
        return dict(found[0])

    async def answer(self, process: Process, name: str, rows: Sequence[Row]) -> list[Answer | RequestError]:
        """Answers rows with one export of a process, by whoever has its turn.

        Raises:
          WorkerDiedError: as `Worker.answer`.
        """
        answers: list[Answer | RequestError] = await self._in_thread(process.worker.answer, name, rows)
        return answers

    async def restart(self, process: Process) -> None:
        """Starts a process that has died, as often as it takes; whoever has its turn waits."""
        process.is_ready = False
        for attempt in range(1_000_000):
            await asyncio.sleep(RESTART_SECONDS[min(attempt, len(RESTART_SECONDS) - 1)])
            try:
                await self._in_thread(process.worker.start)
            except ExportError as error:
                log.error("%s: cannot be started again: %s", self.names, error)
            else:
                log.info("%s: the process of the model runs again", self.names)
                process.is_ready = True
                return

    def kill(self) -> None:
        """Ends them, whatever they do."""
        for worker in self.workers:
            worker.kill()
        self._threads.shutdown(wait=False)

    async def stop(self) -> None:
        """Ends them once nobody asks them any more."""
        for worker in self.workers:
            worker.kill()  # one may be starting again
        await asyncio.to_thread(self._threads.shutdown)
        for worker in self.workers:
            worker.stop()

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
