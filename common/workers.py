"""Work spread over processes: results in order, memory flat, no process left behind."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from common.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextlib.contextmanager
def ordered_map(
    work: Callable[[Item], Result], num_workers: int
) -> Iterator[Callable[[Iterable[Item]], Iterator[Result]]]:
    """Gives a function from items to `work(item)` of each, in the order of the items, whatever the number of workers.

    Args:
      work: picklable; each process gets it once.
      num_workers: processes; with 1, this one does the work.

    Only a few items are read ahead of the results, so a stream of any length fits.

    Raises:
      DataError: a process died (most often killed by the system for lack of memory), or could not start, since the
        program that calls this is no module that can be imported.
    """
    if num_workers <= 1:
        yield lambda items: map(work, items)
        return
    with tempfile.TemporaryDirectory(prefix="bert_workers_") as folder:
        # Not as an argument of the process: writing one to a child that dies before it reads would never return.
        path = Path(folder) / "work.pickle"
        path.write_bytes(pickle.dumps(work))
        # "spawn", because a forked child of a process that runs TensorFlow's threads can deadlock.
        pool = concurrent.futures.ProcessPoolExecutor(
            num_workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(path,)
        )
        try:
            yield lambda items: _in_order(pool, items, ahead=2 * num_workers)
        except BrokenProcessPool as error:
            raise DataError(
                f"--num_workers={num_workers}: a worker process died, most likely for lack of memory; "
                "lower --num_workers, then run again: what is finished is kept (a program of your own has to start "
                'workers under `if __name__ == "__main__":`)'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(pool: concurrent.futures.Executor, items: Iterable[Any], ahead: int) -> Iterator[Any]:
    pending: collections.deque[Any] = collections.deque()
    for item in items:
        pending.append(pool.submit(_do_work, item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


_work: Callable[[Any], Any] | None = None


def _start_worker(path: Path) -> None:
    # A pool hands its initializer's result to tasks through the module only.
    global _work
    _work = pickle.loads(path.read_bytes())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the parent alone answers it
    # Each process has a core to itself; threads inside it would only compete.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """Ends a worker whose parent was killed: waiting for work, it would never know."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do_work(item: Any) -> Any:
    if _work is None:
        raise RuntimeError("a worker process was started without its work")
    return _work(item)
