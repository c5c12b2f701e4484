"""Measures a running server: speed at saturation, latency at half load, and what it does beyond its capacity.

    python -m benchmarks.server_load --export=runs/reviews --texts=sentences.txt

The Predictor and the server take turns, in processes of their own, with the same texts. Every
answer is compared with that of the Predictor. Latency is from the time at which a request was due, not from the time at
which a busy client got round to sending it.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-5
CONNECTIONS = 64


@dataclasses.dataclass
class Load:
    """What came of a number of requests.

    Args:
      seconds: how long they took all together.
      statuses: of the answers.
      latencies: seconds of those that were answered, in the order of their ends.
      wrong: answers that are not those of the Predictor.
    """

    seconds: float = 0.0
    statuses: Counter[int] = dataclasses.field(default_factory=Counter)
    latencies: list[float] = dataclasses.field(default_factory=list)
    wrong: int = 0

    def rate(self) -> float:
        """Answers a second."""
        return self.statuses[200] / self.seconds

    def quantile(self, share: float) -> float:
        """Latency in milliseconds that a share of the answers stays below."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Client:
    """Asks a server with texts whose answers are known.

    Args:
      address: host and port.
      model: its name.
      known: texts with the probabilities that the Predictor gives.
    """

    def __init__(self, address: tuple[str, int], model: str, known: Sequence[tuple[str, list[float]]]) -> None:
        self._address = address
        self._requests = [_request(model, text) for text, _ in known]
        self._expected = [probabilities for _, probabilities in known]

    async def saturate(self, seconds: float, connections: int) -> Load:
        """Each of some connections asks again as soon as it has an answer."""
        load, numbers, started = Load(), itertools.count(), time.monotonic()

        async def ask() -> None:
            reader, writer = await asyncio.open_connection(*self._address)
            with contextlib.closing(writer):
                while (now := time.monotonic()) < started + seconds:
                    await self._ask(reader, writer, next(numbers), now, load)

        await asyncio.gather(*(ask() for _ in range(connections)))
        load.seconds = time.monotonic() - started
        return load

    async def at_rate(self, seconds: float, rate: float, connections: int = CONNECTIONS) -> Load:
        """Requests fall due at equal distances, whatever became of those before."""
        load, numbers, started = Load(), itertools.count(), time.monotonic()
        most = int(seconds * rate)

        async def ask() -> None:
            reader, writer = await asyncio.open_connection(*self._address)
            with contextlib.closing(writer):
                while (number := next(numbers)) < most:
                    due = started + number / rate
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    await self._ask(reader, writer, number, due, load)

        await asyncio.gather(*(ask() for _ in range(connections)))
        load.seconds = time.monotonic() - started
        return load

    async def _ask(self, reader: Any, writer: Any, number: int, due: float, load: Load) -> None:
        index = number % len(self._requests)
        writer.write(self._requests[index])
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length))
        status = int(head[9:12])
        load.statuses[status] += 1
        if status == 200:
            load.latencies.append(time.monotonic() - due)
            found = json.loads(body)["predictions"][0]["probabilities"]
            expected = self._expected[index]
            load.wrong += any(abs(a - b) > TOLERANCE for a, b in zip(found, expected, strict=True))


def _request(model: str, text: str) -> bytes:
    body = json.dumps({"instances": [text]}).encode()
    head = f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: load\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.contextmanager
def served(export: str, *flags: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """A server of an export under the name `model`, in a process of its own; gives it and its address."""
    command = [sys.executable, "run_server.py", f"--export=model={export}", "--port=0", *flags]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, text=True)
        try:
            yield process, _address(process, log)
        finally:
            process.terminate()
            process.wait(60)


def _address(process: subprocess.Popen[str], log: Any) -> tuple[str, int]:
    while True:
        log.seek(0)
        text = log.read()
        if found := re.search(r"serving model at http://([\d.]+):(\d+)", text):
            return found[1], int(found[2])
        if process.poll() is not None:
            raise RuntimeError(text)
        time.sleep(0.1)


def memory_mib(process: subprocess.Popen[str]) -> float:
    """Resident memory of a server and its models, in MiB."""
    server = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in [server, *server.children(recursive=True)]) / 2**20


def open_files(process: subprocess.Popen[str]) -> int:
    """File descriptors of a server and its models."""
    server = psutil.Process(process.pid)
    return sum(one.num_fds() for one in [server, *server.children(recursive=True)])


def predictions(export: str, texts: Sequence[str], batch: int) -> tuple[list[tuple[str, list[float]]], float]:
    """The texts with their probabilities, and the texts a second that the Predictor answers, in this process."""
    from serving.predictor import Predictor

    with Predictor(export) as predictor:
        rows = [{"text_a": text} for text in texts]
        predictor.answer(rows[: 2 * batch], batch)
        started = time.monotonic()
        answers = predictor.answer(rows, batch)
        speed = len(rows) / (time.monotonic() - started)
    return [(text, list(answer["probabilities"].values())) for text, answer in zip(texts, answers, strict=True)], speed


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server_load", description=__doc__)
    parser.add_argument("--export", required=True, help="an export directory of a classifier")
    parser.add_argument("--texts", required=True, help="texts, a line each")
    parser.add_argument("--rounds", type=int, default=3, help="turns of Predictor and server")
    parser.add_argument("--seconds", type=float, default=20, help="of a measurement")
    parser.add_argument("--overload_seconds", type=float, default=120, help="of ten times the capacity")
    options = parser.parse_args()
    texts = [line for line in Path(options.texts).read_text(encoding="utf-8").splitlines() if line.strip()]
    with served(options.export, "--max_queue=256") as (process, address):
        ratios: list[float] = []
        rates: list[float] = []
        known: list[tuple[str, list[float]]] = []
        for _ in range(options.rounds):
            known, speed = _in_process(options.export, texts)
            load = asyncio.run(Client(address, "model", known).saturate(options.seconds, CONNECTIONS))
            ratios.append(load.rate() / speed)
            rates.append(load.rate())
            print(f"Predictor {speed:.1f} texts/s, server {load.rate():.1f}, {load.wrong} wrong, {dict(load.statuses)}")
        rate = statistics.median(rates)
        print(f"saturation: {statistics.median(ratios):.2f} of the Predictor ({', '.join(f'{r:.2f}' for r in ratios)})")
        client = Client(address, "model", known)
        half = asyncio.run(client.at_rate(options.seconds, rate / 2))
        print(f"half load: p50 {half.quantile(0.5):.1f} ms, p99 {half.quantile(0.99):.1f} ms, {half.wrong} wrong")
        before = memory_mib(process)
        over = asyncio.run(client.at_rate(options.overload_seconds, 10 * rate, 1000))
        print(
            f"ten times the capacity: {dict(over.statuses)}, {over.wrong} wrong, {over.rate():.1f} answers/s; memory "
            f"{before:.0f} MiB before, {memory_mib(process):.0f} MiB after"
        )


def _in_process(export: str, texts: Sequence[str]) -> tuple[list[tuple[str, list[float]]], float]:
    """`predictions` in a process that ends before the server is measured."""
    import concurrent.futures
    import multiprocessing

    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(predictions, export, texts, 32).result()


if __name__ == "__main__":
    main()
