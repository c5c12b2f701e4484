"""Values of rounds -> ratios -> a table."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.registry import BENCHMARKS, OURS
from benchmarks.rounds import Measurement

COLUMNS = ("benchmark", "case", "unit", "ours", "against", "its value", "min", "median", "max")
MORE_IS_BETTER = {benchmark.name: benchmark.more_is_better for benchmark in BENCHMARKS}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Ours against another side in one case.

    Args:
      against: name of the other side; "" where there is none.
      ours: value of each round.
      theirs: value of each round; empty where there is no other side.
      ratios: how many times better ours is, round by round; none of a round in which one of them is 0.
    """

    benchmark: str
    case: str
    unit: str
    against: str
    ours: Sequence[float]
    theirs: Sequence[float]
    ratios: Sequence[float]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, with minimum, median and maximum of the ratios."""
        return {**dataclasses.asdict(self), **spread(self.ratios)}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum; nothing of nothing.

    Example:
      >>> spread([3.0, 1.0, 2.0])
      {'min': 1.0, 'median': 2.0, 'max': 3.0}
    """
    if not values:
        return {}
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed.

    Example:
      >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
      2.0
    """
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def ratio(ours: float, theirs: float, more_is_better: bool) -> float:
    """How many times better ours is: above 1 where it is."""
    return ours / theirs if more_is_better else theirs / ours


def comparisons(measurements: Iterable[Measurement]) -> list[Comparison]:
    """Compares ours with each other side, in each case and unit; rounds are compared with their own partner only."""
    values: dict[tuple[str, str, str], dict[str, dict[int, float]]] = {}
    for one in measurements:
        for unit, value in one.values.items():
            sides = values.setdefault((one.benchmark, one.case, unit), {})
            sides.setdefault(one.side, {})[one.round] = value
    found = []
    for key, sides in values.items():
        others = [name for name in sides if name != OURS] or [""]
        found += [_comparison(key, name, sides[OURS], sides.get(name, {})) for name in others]
    return found


def _comparison(
    key: tuple[str, str, str], against: str, ours: Mapping[int, float], theirs: Mapping[int, float]
) -> Comparison:
    more_is_better = MORE_IS_BETTER[key[0]]
    # What is 0, a score perhaps, has no ratio.
    pairs = [(value, theirs[number]) for number, value in sorted(ours.items()) if value and theirs.get(number)]
    ratios = [ratio(value, other, more_is_better) for value, other in pairs]
    return Comparison(*key, against, list(ours.values()), list(theirs.values()), ratios)


def table(compared: Iterable[Comparison]) -> str:
    """A Markdown table: medians of the values, and minimum, median and maximum of the ratios."""
    rows = [COLUMNS, *(_row(one) for one in compared)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _row(one: Comparison) -> tuple[str, ...]:
    theirs = shown(statistics.median(one.theirs)) if one.theirs else ""
    ratios = tuple(f"{value:.2f}" for value in spread(one.ratios).values()) or ("", "", "")
    return (one.benchmark, one.case, one.unit, shown(statistics.median(one.ours)), one.against, theirs, *ratios)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if COLUMNS[column] in ("benchmark", "case", "unit", "against") else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "| " + " | ".join(cells) + " |"


def shown(value: float) -> str:
    """A number to three digits, or all digits before the point.

    Example:
      >>> shown(1234.5), shown(12.345), shown(0.012345)
      ('1,234', '12.3', '0.0123')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:,.{max(2 - math.floor(math.log10(abs(value))), 0)}f}"
