"""Evaluation while training goes on: the best checkpoint, early stopping, and the learning curve."""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from common.errors import FlagError, closest
from common.files import write_atomically
from common.run_directory import BEST
from estimator.hooks.metrics_log import MetricsLog
from modeling.checkpoints.restore import write_weights

log = logging.getLogger(__name__)

EVENT = "periodic_eval"
CARRIED = ("bert_config.json", "vocab.txt", "labels.txt")
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


class PeriodicEvaluation(tf.estimator.CheckpointSaverListener):
    """Evaluates every checkpoint when it is saved, within the training session.

    Args:
      evaluate: evaluates the latest checkpoint and returns its scores.
      metric: name of the score that decides.
      patience: evaluations without a better score after which training stops; None never stops it.
      metrics: where each evaluation is noted, and what earlier ones are read from.
      output_dir: of the run; the best checkpoint goes to `best/` in it.
      keep_best: whether to keep the best checkpoint.
      start: step that training begins at; what was evaluated after it belongs to a run that was undone.
      exclude_time: takes the seconds that an evaluation took, so that they count in no rate of training.
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
        exclude_time: Callable[[float], None],
    ) -> None:
        self._evaluate = evaluate
        self._metric = metric
        self._patience = patience
        self._metrics = metrics
        self._output_dir = output_dir
        self._keep_best = keep_best
        self._start = start
        self._exclude_time = exclude_time
        self.scores = earlier_scores(metrics.read(), metric, start)

    def is_out_of_patience(self) -> bool:
        """Whether as many evaluations as may be have brought nothing better."""
        return self._patience is not None and since_best(self.scores, self._metric) >= self._patience

    def after_save(self, session: Any, global_step_value: int) -> bool:
        """Evaluates the checkpoint that was just written; says whether training should stop."""
        del session
        step = int(global_step_value)
        if step <= self._start:  # the one that training begins from
            return False
        started = time.monotonic()
        scores = self._evaluate()
        value = chosen_value(scores, self._metric)
        self.scores.append(Score(step, value))
        self._metrics.write(EVENT, {"step": step, "metric": self._metric, **scores, "value": value})
        is_best = best_of(self.scores, self._metric) == self.scores[-1]
        log.info("step %d: %s %.5g%s", step, self._metric, value, ", the best so far" if is_best else "")
        if is_best and self._keep_best:
            keep_best(self._output_dir, step)
        self._exclude_time(time.monotonic() - started)
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
        if event["event"] == EVENT and event["step"] <= start
    }
    return [found[step] for step in sorted(found)]


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
    prefix = folder / f"model.ckpt-{step}"
    write_weights(str(output_dir / f"model.ckpt-{step}"), str(prefix))
    for name in CARRIED:
        if (output_dir / name).is_file():
            write_atomically(folder / name, (output_dir / name).read_text(encoding="utf-8"))
    # From here on the new one is the folder's checkpoint; before, the old one still was.
    write_atomically(folder / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
    for path in folder.glob("model.ckpt-*"):
        if path.name.removesuffix(".index").split(".data-")[0] != prefix.name:
            path.unlink()
    return prefix


def best_checkpoint(output_dir: Path) -> str | None:
    """Prefix of the best checkpoint that a run has kept; None where there is none."""
    folder = output_dir / BEST
    return tf.train.latest_checkpoint(str(folder)) if folder.is_dir() else None
