"""What clients of bert-as-service have asked for, as its server tells them."""

import collections
import time
from typing import Any

MOST_CLIENTS = 1000
"""Clients whose requests are counted one by one: those who asked last."""
ACTIVE_SECONDS = 180.0


class Statistics:
    """Counts requests; a client is told apart by its identity."""

    def __init__(self) -> None:
        self.start_time = time.strftime("%Y-%m-%d %H:%M:%S")
        self._clients: collections.OrderedDict[str, tuple[int, float]] = collections.OrderedDict()
        self._num_clients = self._num_data = self._num_system = self._num_texts = 0
        self._sizes: collections.deque[int] = collections.deque(maxlen=500)

    def observe_data(self, client: str, texts: int) -> None:
        """Counts a request for vectors."""
        self._num_data += 1
        self._num_texts += texts
        self._sizes.append(texts)
        self._observe(client)

    def observe_system(self, client: str) -> None:
        """Counts a question about the server."""
        self._num_system += 1
        self._observe(client)

    def _observe(self, client: str) -> None:
        count, _ = self._clients.pop(client, (0, 0.0))
        self._num_clients += not count
        self._clients[client] = (count + 1, time.monotonic())
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)

    def summary(self) -> dict[str, Any]:
        """All counts by the names that bert-as-service gives them."""
        now = time.monotonic()
        requests = [count for count, _ in self._clients.values()]
        return {
            "num_data_request": self._num_data,
            "num_total_seq": self._num_texts,
            "num_sys_request": self._num_system,
            "num_total_request": self._num_data + self._num_system,
            "num_total_client": self._num_clients,
            "num_active_client": sum(now - last < ACTIVE_SECONDS for _, last in self._clients.values()),
            **_extremes("request_per_client", requests),
            **_extremes("size_per_request", list(self._sizes)),
        }


def _extremes(name: str, values: list[int]) -> dict[str, float]:
    if not values:
        return {}
    return {
        f"avg_{name}": sum(values) / len(values),
        f"max_{name}": max(values),
        f"min_{name}": min(values),
        f"num_max_{name}": values.count(max(values)),
        f"num_min_{name}": values.count(min(values)),
    }
