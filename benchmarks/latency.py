"""Latency of requests that come one after the other. Standard library only."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.protocol import LATENCY_BATCH_SIZES, Result, Rounds, seconds
from benchmarks.summary import percentile

FEWER_LARGE = 5
"""A round of large batches has so many times fewer requests."""

FIRST_ANSWER = "first answer, loading included"
"""Case of one request to what has only now been loaded; libraries are there already."""

Row = dict[str, str]
"""`text_a` and `text_b`."""
Answer = Callable[[Sequence[Row]], Any]


def latency_rounds(answers: Mapping[str, Answer], rows: Sequence[Row], calls: int) -> Rounds:
    """A case for each way to answer and each size of a request: pairs, and the first texts of these alone.

    Args:
      answers: ways to answer, by name.
      rows: pairs.
      calls: requests a round for single rows.
    """
    sentences = [{**row, "text_b": ""} for row in rows]
    cases = [(f"batch {size}", rows, size) for size in LATENCY_BATCH_SIZES] + [("one sentence", sentences, 1)]
    return {
        f"{name}, {case}": functools.partial(_latencies, answer, asked, size, calls)
        for name, answer in answers.items()
        for case, asked, size in cases
    }


def first_answer(load: Callable[[], Answer], rows: Sequence[Row]) -> Rounds:
    """The case of loading and then answering one request."""
    return {FIRST_ANSWER: lambda: Result({"s": seconds(lambda: load()(rows[:1]))})}


def _latencies(answer: Answer, rows: Sequence[Row], batch_size: int, calls: int) -> Result:
    """Times requests; the first, which may find caches cold, is not counted."""
    calls = calls if batch_size == 1 else max(calls // FEWER_LARGE, 2)
    groups = itertools.cycle([rows[start : start + batch_size] for start in range(0, len(rows), batch_size)])
    times = [1000 * seconds(functools.partial(answer, group)) for group in itertools.islice(groups, calls + 1)][1:]
    return Result({"ms, p50": percentile(times, 0.5), "ms, p95": percentile(times, 0.95)})
