"""A side of a benchmark as a process of its own: it loads once, then runs a round whenever it is asked and sleeps else.

`Worker` is the parent's end; run as a module, this is the other one. Standard library only.
"""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.protocol import Result, Settings
from common.errors import BertError, one_line

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "tensorflow", "torch", "transformers", "datasets", "tokenizers", "numpy", "onnxruntime", "openvino", "ctranslate2",
)  # fmt: skip
"""Whose versions a worker reports, where they are installed."""


class WorkerError(BertError):
    """A side of a benchmark stopped before it answered."""


class Worker:
    """Starts a side and asks it for rounds.

    Args:
      python: the interpreter of the side's environment.
      module: has `load(settings) -> Rounds`.
      settings: handed to it.
    """

    def __init__(self, python: Path, module: str, settings: Settings) -> None:
        self._peak = 0.0
        self._log = settings.folder / f"{module}.log"
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "HF_HUB_OFFLINE": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.worker"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        self._name = module
        self._send({"module": module, "settings": dataclasses.asdict(settings)})

    def ready(self) -> dict[str, Any]:
        """Waits until all is loaded: `cases`, in order, and `versions` of what it runs on.

        Raises:
          WorkerError: the process ended.
        """
        return self._receive()

    def run(self, case: str) -> Result:
        """One round of a case.

        Raises:
          WorkerError: the process ended.
        """
        self._send({"case": case})
        return Result(**self._receive())

    def close(self) -> float:
        """Ends the process; gives the most memory it had (peak resident set, MiB)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        if self._process.returncode is None:
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._peak = usage.ru_maxrss / 1024
        return self._peak

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def _ended(self) -> WorkerError:
        self.close()
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return WorkerError(
            f"{self._name} ended with {self._process.returncode} ({one_line(last)}); expected an answer; "
            f"--work=FOLDER keeps its log, {self._log.name}"
        )


def versions() -> dict[str, str]:
    """Versions of Python and of `PACKAGES`, as far as they are here."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class _Requests:
    """Lines of the parent. Where it ends while a round is at work, the round and what that has launched end, too."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._is_idle = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> str:
        """The next line; empty where the parent is done. From here on there is work, until `rest`."""
        line = self._lines.get()
        self._is_idle.clear()
        return line

    def rest(self) -> None:
        """Work is done; to be called before the parent learns of it, since it may then end."""
        self._is_idle.set()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        if not self._is_idle.is_set():
            os.killpg(0, signal.SIGKILL)  # the worker leads a group of its own
        self._lines.put("")


def main() -> None:
    """The worker's end: answers on what was standard output, which itself now goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests = _Requests()

    def answer(message: dict[str, Any]) -> None:
        requests.rest()
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    request = json.loads(requests.next())
    rounds = importlib.import_module(request["module"]).load(Settings.from_json(request["settings"]))
    answer({"cases": list(rounds), "versions": versions()})
    while line := requests.next():
        answer(dataclasses.asdict(rounds[json.loads(line)["case"]]()))
    # Estimators are waiting in threads for steps that will not come.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
