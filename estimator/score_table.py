"""Scores of an evaluation as a small table for a person; the files hold all of them in full."""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.files import write_atomically
from estimator.hooks.metrics_log import MetricsLog

log = logging.getLogger(__name__)

BASELINE = "eval_majority_baseline"
FIRST = ("eval_accuracy", BASELINE, "exact_match", "f1", "eval_f1", "eval_pearson", "eval_spearman", "loss")
"""Scores that come first, in this order; `global_step` is in the heading."""
MOST_CLASSES = 30

_BY_CLASS = re.compile(r"(eval_)?(\w+)\[(.*)\]", re.DOTALL)


def lines(scores: Mapping[str, float], step: int) -> Iterator[str]:
    """Lines to log: the scores of all rows, the best known first, then a row a class.

    Args:
      scores: by name; `eval_f1[positive]` is the F1 of the class `positive`.
      step: of the checkpoint.
    """
    yield f"evaluation of step {step}:"
    whole = _whole(scores)
    known = [name for name in FIRST if name in whole]
    for name in [*known, *sorted(whole.keys() - set(known))]:
        yield f"  {name.removeprefix('eval_').replace('_', ' '):<24} {whole[name]:.4g}"
    yield from _class_lines(scores)


def brief(scores: Mapping[str, float], step: int) -> str:
    """The best known scores in one line, for evaluations while training."""
    whole = _whole(scores)
    shown = (f"{name.removeprefix('eval_')} {whole[name]:.4g}" for name in FIRST if name in whole and name != BASELINE)
    return f"evaluation of step {step}: {', '.join(shown)}"


def _whole(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores of all rows; the Estimator's own loss stands for the head's."""
    left_out = {"global_step"} | ({"eval_loss"} if "loss" in scores else set())
    return {name: value for name, value in scores.items() if "[" not in name and name not in left_out}


def _class_lines(scores: Mapping[str, float]) -> Iterator[str]:
    by_class: dict[str, dict[str, float]] = {}
    for name, value in scores.items():
        match = _BY_CLASS.fullmatch(name)
        if match:
            by_class.setdefault(match[3], {})[match[2]] = value
    if not by_class:
        return
    columns = list(next(iter(by_class.values())))
    width = min(max(map(len, by_class)), 32)
    yield "  " + " " * width + "".join(f"{column:>12}" for column in columns)
    for label in list(by_class)[:MOST_CLASSES]:
        cells = (by_class[label].get(column, float("nan")) for column in columns)
        yield f"  {label[:width]:<{width}}" + "".join(f"{cell:>12.4g}" for cell in cells)
    if len(by_class) > MOST_CLASSES:
        yield f"  ... and {len(by_class) - MOST_CLASSES} more classes in eval_results.txt"


def plain(value: Any) -> float:
    """A Python number; a float32 by its shortest digits, 0.775 rather than 0.7749999761581421."""
    return float(str(value)) if isinstance(value, np.float32) else np.asarray(value).item()


def write(scores: Mapping[str, float], folder: Path, metrics: MetricsLog, is_brief: bool) -> None:
    """Logs the scores of an evaluation, and writes `eval_results.txt`, `eval_results.json` and a line of metrics.

    Args:
      scores: by name.
      folder: of the files.
      metrics: gets the line.
      is_brief: whether the log gets one line alone.
    """
    step = int(scores.get("global_step", 0))
    for line in [brief(scores, step)] if is_brief else lines(scores, step):
        log.info("%s", line)
    write_atomically(folder / "eval_results.txt", "".join(f"{key} = {scores[key]}\n" for key in sorted(scores)))
    # NaN (a correlation with a constant) is no JSON; null is.
    finite = {key: value if math.isfinite(value) else None for key, value in sorted(scores.items())}
    write_atomically(folder / "eval_results.json", json.dumps(finite, indent=2, ensure_ascii=False) + "\n")
    metrics.write("eval", finite)
