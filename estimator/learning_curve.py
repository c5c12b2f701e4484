"""The learning curve of a run: training loss and held-out score over the steps, as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.pictures import save_picture
from estimator.hooks.periodic_evaluation import EVENT, is_evaluation

FILE = "learning_curve.png"

Points = list[tuple[int, float]]


def curves(events: Sequence[Mapping[str, Any]]) -> tuple[Points, Points, str]:
    """Training losses, held-out values, and the name of the latter, by step.

    Args:
      events: of `metrics.jsonl`, in order. What a resumed run did once more replaces what it undid.
    """
    losses: dict[int, float] = {}
    scores: dict[int, float] = {}
    metric = ""
    for event in events:
        kind, step = event["event"], event.get("step", 0)
        if not (is_evaluation(event) or (kind == "train" and isinstance(event.get("loss"), int | float | None))):
            continue
        for points in (losses, scores):
            for undone in [later for later in points if later > step]:
                del points[undone]
        if kind == EVENT:
            metric = event["metric"]
        value = event["value"] if kind == EVENT else event.get("loss")
        if value is not None:
            (scores if kind == EVENT else losses)[step] = value
    return sorted(losses.items()), sorted(scores.items()), metric


def draw(events: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws the curve as PNG; does nothing where a run has fewer than two evaluations."""
    losses, scores, metric = curves(events)
    if len(scores) >= 2:
        save_picture(path, lambda figure: _draw(figure, losses, scores, metric), (7, 4))


def _draw(figure: Any, losses: Points, scores: Points, metric: str) -> None:
    from matplotlib.ticker import MaxNLocator

    left = figure.subplots()
    left.set(xlabel="step", ylabel="loss")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.plot(*zip(*losses, strict=True), color="tab:gray", alpha=0.6, label="training loss")
    # A loss shares the axis of the training loss; any other score has one of its own.
    right = left if metric.removeprefix("eval_").endswith("loss") else left.twinx()
    if right is not left:
        right.set_ylabel(metric)
    right.plot(*zip(*scores, strict=True), color="tab:blue", marker="o", label=f"held-out {metric}")
    figure.legend(loc="outside upper center", ncols=2)
