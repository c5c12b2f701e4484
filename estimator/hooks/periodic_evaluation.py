"""Evaluation while training goes on: the best checkpoint, early stopping, and the learning curve."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.checkpoints import checkpoint_name, latest_checkpoint, record_checkpoint
from common.errors import FlagError, closest
from common.files import copy_atomically
from common.run_directory import BEST
from estimator.hooks.metrics_log import MetricsLog
from modeling.checkpoints.restore import has_weights_of, write_weights
from tokenization.kinds import vocabulary_files

log = logging.getLogger(__name__)

EVENT = "periodic_eval"
CARRIED = ("bert_config.json", "labels.txt", *vocabulary_files())
"""Files of an output directory that make its best checkpoint one to start from."""

_LOWER_IS_BETTER = ("loss", "perplexity", "error", "mse", "mae", "brier")


@dataclasses.dataclass(frozen=True)
class Score:
    """What an evaluation said of a checkpoint."""

    step: int
    value: float


def lower_is_better(metric: str) -> bool:
    """Whether a metric of this name is an error rather than a score."""
    return any(part in metric.lower() for part in _LOWER_IS_BETTER)


def best_of(scores: Sequence[Score], metric: str) -> Score | None:
    """The best of the scores, the earliest of equals; NaN is never the best; None where there is none."""
    known = [score for score in scores if score.value == score.value]
    sign = 1.0 if lower_is_better(metric) else -1.0
    return min(known, key=lambda score: (sign * score.value, score.step), default=None)


def since_best(scores: Sequence[Score], metric: str) -> int:
    """Evaluations made after the best one; all of them where none is a number."""
    best = best_of(scores, metric)
    return sum(score.step > (best.step if best else -1) for score in scores)


def chosen_value(scores: Mapping[str, float], metric: str) -> float:
    """The score named `metric`, with or without the `eval_` before it.

    Raises:
      FlagError: there is none of that name.
    """
    for name in (metric, f"eval_{metric}"):
        if name in scores:
            return float(scores[name])
    names = sorted({name.removeprefix("eval_") for name in scores} - {"global_step"})
    raise FlagError(f"--best_metric={metric}: not a metric of this evaluation, {closest(metric, names)}; give one")


class PeriodicEvaluation:
    """Evaluates every checkpoint when it is saved, within the training session.

    Args:
      evaluate: evaluates the latest checkpoint and returns its scores.
      metric: name of the score that decides.
      patience: evaluations without a better score after which training stops; None never stops it.
      metrics: where each evaluation is noted, and what earlier ones are read from.
      output_dir: of the run; the best checkpoint goes to `best/` in it.
      keep_best: whether to keep the best checkpoint.
      start: step that training begins at; what was evaluated after it belongs to a run that was undone.
      every: steps between two evaluations.
    """

    def __init__(
        self,
        evaluate: Callable[[], Mapping[str, float]],
        metric: str,
        patience: int | None,
        metrics: MetricsLog,
        output_dir: Path,
        keep_best: bool,
        start: int,
        every: int,
    ) -> None:
        self._evaluate = evaluate
        self._metric = metric
        self._patience = patience
        self._metrics = metrics
        self._output_dir = output_dir
        self._keep_best = keep_best
        self.every = every
        self.scores = earlier_scores(metrics.read(), metric, start)

    def is_out_of_patience(self) -> bool:
        """Whether as many evaluations as may be have brought nothing better."""
        return self._patience is not None and since_best(self.scores, self._metric) >= self._patience

    def is_missing(self, step: int) -> bool:
        """Whether a checkpoint of this step has not been evaluated: its run was stopped before."""
        return step > 0 and all(score.step != step for score in self.scores)

    def evaluate(self, step: int) -> bool:
        """Evaluates the checkpoint of a step, which was just written; says whether training should stop."""
        scores = self._evaluate()
        value = chosen_value(scores, self._metric)
        self.scores.append(Score(step, value))
        is_best = best_of(self.scores, self._metric) == self.scores[-1]
        log.info("step %d: %s %.5g%s", step, self._metric, value, ", the best so far" if is_best else "")
        if is_best and self._keep_best:
            keep_best(self._output_dir, step)
        # Noted last: a run that is killed before evaluates this checkpoint again.
        self._metrics.write(EVENT, {"step": step, "metric": self._metric, **scores, "value": value})
        stops = self.is_out_of_patience()
        if stops:
            log.info("%s; training stops", self.summary())
        return stops

    def summary(self) -> str:
        """The best evaluation in words."""
        best = best_of(self.scores, self._metric)
        if best is None:
            return f"no evaluation gave a number for {self._metric}"
        return f"the best {self._metric}, {best.value:.5g}, was at step {best.step}"


def earlier_scores(events: Sequence[Mapping[str, Any]], metric: str, start: int) -> list[Score]:
    """Evaluations that lie behind step `start` of a run, by the events of its `metrics.jsonl`; the last of a step."""
    found = {
        event["step"]: Score(event["step"], chosen_value(_numbers(event), metric))
        for event in events
        if is_evaluation(event) and event["step"] <= start
    }
    return [found[step] for step in sorted(found)]


def is_evaluation(event: Mapping[str, Any]) -> bool:
    """Whether a line of `metrics.jsonl` is an evaluation beside training, whole and of the right types."""
    if event["event"] != EVENT or "value" not in event:
        return False
    if not (isinstance(event.get("step"), int) and isinstance(event.get("metric"), str)):
        return False
    rest = (value for name, value in event.items() if name not in ("event", "time", "step", "metric"))
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in rest)


def _numbers(event: Mapping[str, Any]) -> dict[str, float]:
    """Scores of an event; null, as JSON has NaN, is NaN again."""
    others = ("event", "time", "step", "metric", "value")
    return {name: float("nan") if value is None else value for name, value in event.items() if name not in others}


def keep_best(output_dir: Path, step: int) -> Path:
    """Writes the weights of a checkpoint, without the optimizer's slots, to `best/`, in place of what was there.

    Returns:
      Prefix of the checkpoint written.
    """
    folder = output_dir / BEST
    folder.mkdir(exist_ok=True)
    prefix = folder / checkpoint_name(step)
    source = str(output_dir / prefix.name)
    if not (prefix.with_name(f"{prefix.name}.index").is_file() and has_weights_of(str(prefix), source)):
        write_weights(source, str(prefix))
    for name in CARRIED:
        if (output_dir / name).is_file():
            copy_atomically(output_dir / name, folder / name)
    # From here on the new one is the folder's checkpoint; before, the old one still was.
    record_checkpoint(folder, prefix.name, keep=1)
    for path in folder.glob("model.ckpt-*"):
        if path.name.removesuffix(".index").split(".data-")[0] != prefix.name:
            path.unlink()
    return prefix


def best_checkpoint(output_dir: Path) -> str | None:
    """Prefix of the best checkpoint that a run has kept; None where there is none.

    Raises:
      CheckpointError: its files are not all there.
    """
    best = latest_checkpoint(output_dir / BEST)
    return best.prefix if best else None
