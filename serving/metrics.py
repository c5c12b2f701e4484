"""What a server counts, in Prometheus' form; a registry of its own, so that two servers can live in one process."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters and histograms of a server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("bert_requests", "Requests by operation and HTTP status.", "operation", "status")
        self._seconds = self._histogram(
            "bert_request_seconds", "Seconds from a request to its answer.", SECONDS, "operation"
        )
        self._rows = self._counter("bert_rows", "Rows computed.", "model")
        self._tokens = self._counter("bert_tokens", "Estimated tokens computed.", "model")
        self._batch_rows = self._histogram("bert_batch_rows", "Rows of a batch.", ROWS, "model")
        self._batch_seconds = self._histogram("bert_batch_seconds", "Seconds to compute a batch.", SECONDS, "model")
        self._queue_seconds = self._histogram(
            "bert_queue_seconds", "Seconds that the oldest row of a batch has waited.", SECONDS, "model"
        )
        self._queue_rows = Gauge("bert_queue_rows", "Rows that wait now.", ["model"], registry=self.registry)
        self._totals = {"requests": 0, "rows": 0, "tokens": 0}
        self._crashes = self._counter("bert_model_crashes", "Model processes that died.", "model")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def observe_batch(self, model: str, rows: int, tokens: int, waited: float, seconds: float) -> None:
        """Counts a batch that was computed."""
        self._totals["rows"] += rows
        self._totals["tokens"] += tokens
        self._rows.labels(model).inc(rows)
        self._tokens.labels(model).inc(tokens)
        self._batch_rows.labels(model).observe(rows)
        self._batch_seconds.labels(model).observe(seconds)
        self._queue_seconds.labels(model).observe(waited)

    def observe_request(self, operation: str, status: int, seconds: float) -> None:
        """Counts a request that was answered or refused."""
        if operation != "page.load":  # the page looks every other second
            self._totals["requests"] += 1
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def observe_crash(self, model: str) -> None:
        """Counts a process that died."""
        self._crashes.labels(model).inc()

    def watch_queue(self, model: str, waiting: Callable[[], int]) -> None:
        """Reads the length of a queue whenever the metrics are asked for."""
        self._queue_rows.labels(model).set_function(waiting)

    def totals(self) -> dict[str, float]:
        """Requests, rows and tokens since the start, and a clock in seconds."""
        return self._totals | {"seconds": time.monotonic()}

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
