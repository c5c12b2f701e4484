"""What a model makes of each row of an evaluation: enough to score any resampling of the rows, and compare models."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLINGS = 1000
CONFIDENCE = 0.95
_AT_ONCE = 50

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The score of sums over rows, `[..., K]` -> `[...]`."""


def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first sum over the second: an accuracy, of what is right and of all."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-12)


def pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of x and y, of the sums of 1, x, y, x², y² and xy; NaN where one is constant."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = (xx - x * x / count) * (yy - y * y / count)
    return np.where(spread > 1e-12, (xy - x * y / count) / np.sqrt(np.maximum(spread, 1e-12)), np.nan)


@dataclasses.dataclass(frozen=True)
class RowResults:
    """What a model makes of the rows of a split.

    Args:
      metric: name of the score.
      columns: what is summed over rows to score them, float64 `[N, K]`.
      statistic: the score of these sums.
      answers: one for each row, to be compared with another model's.
    """

    metric: str
    columns: NDArray[np.float64]
    statistic: Statistic
    answers: Sequence[Any]

    @classmethod
    def of_hits(cls, metric: str, hits: Sequence[bool], answers: Sequence[Any]) -> "RowResults":
        """Rows that are right or wrong."""
        return cls.of_parts(metric, [(float(hit), 1.0) for hit in hits], answers)

    @classmethod
    def of_parts(cls, metric: str, parts: Sequence[tuple[float, float]], answers: Sequence[Any]) -> "RowResults":
        """Rows that add to both sides of a fraction: what is right of them, and all that counts."""
        return cls(metric, np.array(parts, np.float64), ratio, answers)

    @classmethod
    def of_numbers(cls, gold: Sequence[float], found: Sequence[float]) -> "RowResults":
        """Numbers, scored by their correlation."""
        x, y = np.array(gold, np.float64), np.array(found, np.float64)
        columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)
        return cls("pearson", columns, pearson, list(found))

    def score(self) -> float:
        """That of all rows."""
        return float(self.statistic(self.columns.sum(axis=0)))


def resampled(results: Sequence[RowResults], seed: int = 0) -> NDArray[np.float64]:
    """Scores of models on the same resamplings of their rows, `[models, RESAMPLINGS]`.

    Args:
      results: of each model, on the same rows.
      seed: of the resamplings.

    Source: the bootstrap of Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    rows = len(results[0].columns)
    random = np.random.default_rng(seed)
    found = []
    for start in range(0, RESAMPLINGS, _AT_ONCE):
        size = min(_AT_ONCE, RESAMPLINGS - start)
        counts = random.multinomial(rows, np.full(rows, 1.0 / rows), size=size).astype(np.float64)
        found.append([one.statistic(counts @ one.columns) for one in results])
    return np.concatenate([np.array(part) for part in found], axis=1)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the middle `CONFIDENCE` of resampled values lie."""
    tail = (1.0 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def agreement(one: Sequence[Any], other: Sequence[Any]) -> float:
    """Fraction of rows with the same answer; of numbers, their correlation."""
    if one and isinstance(one[0], float):
        return RowResults.of_numbers(one, other).score()
    return sum(a == b for a, b in zip(one, other, strict=True)) / max(len(one), 1)
