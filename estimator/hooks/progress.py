"""Progress of training: a bar on a terminal, plain lines elsewhere."""

import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import tensorflow as tf

from common.errors import BertError
from estimator.hooks.metrics_log import MetricsLog

log = logging.getLogger(__name__)

PROGRESS = "progress/"
SKIPPED = "skipped"
"""Whether the update of a step was left out; reported where updates can be."""
RAW_LOSS = "raw"
UNDRAWN = ("step", SKIPPED, RAW_LOSS)
SHOWN_ROWS = 64
"""Most rows that a line names."""

SessionRunHook: Any = tf.compat.v1.train.SessionRunHook
SessionRunArgs = tf.compat.v1.train.SessionRunArgs


def progress_tensors() -> dict[str, tf.Tensor]:
    """Scalars of the graph that are reported while it trains: those named `progress/...`, by the rest of the name.

    `loss` and `learning_rate` always; a head whose loss is a sum names its parts `..._loss`.
    """
    operations = tf.compat.v1.get_default_graph().get_operations()
    named = (operation for operation in operations if operation.name.startswith(PROGRESS))
    return {operation.name.removeprefix(PROGRESS): operation.outputs[0] for operation in named}


def not_finite(what: str = "the loss became NaN", where: str = "", further_advice: str = "") -> BertError:
    """What to say of an update that is not made of numbers.

    Args:
      what: is no number.
      where: what is known of the step.
      further_advice: in this case.
    """
    return BertError(
        f"training: {what}{where}; expected a finite number; lower --learning_rate{further_advice} "
        "or look for broken rows with --validate_only; --on_nan=skip leaves such updates out"
    )


class ProgressHook(SessionRunHook):
    """Loss, learning rate, examples/s, epoch and time left: a bar on a terminal, plain lines elsewhere.

    Args:
      num_steps: the step at which training ends.
      batch_size: rows a step.
      num_examples: rows an epoch.
      every: steps between two reports; tensors are fetched only then.
      metrics: receives every report.
      rows: names of the rows of a step, for a step that goes wrong.

    Attributes:
      skipped: updates that were left out.
    """

    def __init__(
        self,
        num_steps: int,
        batch_size: int,
        num_examples: int,
        every: int,
        metrics: MetricsLog,
        rows: Callable[[int], Sequence[str]] = lambda step: (),
    ) -> None:
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._num_examples = num_examples
        self._every = max(every, 1)
        self._metrics = metrics
        self._rows = rows
        self.skipped = 0
        self._bar: Any = None
        self._first = self._step = self._reported_step = 0
        self._reported_at = 0.0
        self._last_loss = ""

    def begin(self) -> None:
        """Finds the tensors of the graph that is about to run."""
        self._fetches = {"step": tf.compat.v1.train.get_global_step(), **progress_tensors()}
        self._fetches[RAW_LOSS] = self._fetches["loss"]
        # The Estimator's own loss is the mean over all devices, the named one that of the first.
        self._fetches["loss"] = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.LOSSES)[-1]

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Starts the clock at the step that training resumes from."""
        del coord
        self._first = self._step = self._reported_step = int(session.run(self._fetches["step"]))
        self._reported_at = time.monotonic()
        if sys.stderr.isatty() or "ipykernel" in sys.modules:
            from tqdm import tqdm

            self._bar = tqdm(total=self._num_steps, initial=self._step, unit="step", dynamic_ncols=True)

    def before_run(self, run_context: Any) -> Any:
        """Asks for the same scalars at every step: TensorFlow plans a graph anew for each set of fetches."""
        del run_context
        return SessionRunArgs(self._fetches)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Counts the step, and reports it if it is due; after the first, the time it took to get there.

        Raises:
          BertError: the loss or the gradients are not finite.
        """
        del run_context
        if self._step == self._first:
            seconds = time.time() - psutil.Process().create_time()
            log.info("first step done %.1f s after launch", seconds)
            self._metrics.write("start", {"step": self._step + 1, "seconds_from_launch": round(seconds, 2)})
        self._step += 1
        is_skipped = self._is_skipped(run_values.results)
        if self._bar is not None:
            self._bar.update(1)
        if not is_skipped and self._is_due(self._step):
            self._report(run_values.results)

    def exclude(self, seconds: float) -> None:
        """Leaves time that went into something else out of the rate of the next report."""
        self._reported_at += seconds

    def end(self, session: Any) -> None:
        """Closes the bar, and sums up."""
        del session
        if self._bar is not None:
            self._bar.close()
        if self.skipped:
            log.warning("%d of %d updates were skipped", self.skipped, self._step - self._first)

    def _is_skipped(self, results: dict[str, Any]) -> bool:
        """Whether the update was left out; it is reported.

        Raises:
          BertError: it is not finite, and was made.
        """
        loss, norm = float(results["loss"]), float(results.get("gradient_norm", 0.0))
        if results.get(SKIPPED):
            self.skipped += 1
            raw = float(results[RAW_LOSS])
            log.warning("step %d: update skipped (%s)", self._step, self._where(results, raw, norm))
            self._metrics.write("skipped", {"step": self._step, "rows": list(self._rows(self._step))})
            return True
        if math.isfinite(loss) and (math.isfinite(norm) or "loss_scale" in results):
            self._last_loss = f"; it was {loss:.4g} a step before"
            return False
        what = "the gradients became NaN or infinite" if math.isfinite(loss) else f"the loss became {_named(loss)}"
        raise not_finite(
            what,
            f" at step {self._step} ({self._where(results, None, norm)}{self._last_loss})",
            ", use --precision=bf16 in place of fp16" if "loss_scale" in results else "",
        )

    def _where(self, results: dict[str, Any], loss: float | None, norm: float) -> str:
        parts = [] if loss is None else [f"loss {loss:.4g}"]
        parts += [f"learning rate {float(results['learning_rate']):.1e}", f"gradient norm {norm:.4g}"]
        rows = list(self._rows(self._step))
        if rows:
            parts.append(f"rows {', '.join(rows[:SHOWN_ROWS])}{', ...' if len(rows) > SHOWN_ROWS else ''}")
        return ", ".join(parts)

    def _is_due(self, step: int) -> bool:
        return step % self._every == 0 or step == self._num_steps or step == 1

    def _report(self, results: dict[str, Any]) -> None:
        now = time.monotonic()
        rate = (self._step - self._reported_step) / max(now - self._reported_at, 1e-9)
        self._reported_step, self._reported_at = self._step, now
        parts = {name: float(value) for name, value in results.items() if name.endswith("_loss")}
        further: dict[str, Any] = {
            name: float(results[name]) for name in ("gradient_norm", "loss_scale") if name in results
        }
        report: dict[str, Any] = {
            "step": self._step,
            "epoch": round(self._step * self._batch_size / self._num_examples, 3),
            "loss": float(results["loss"]),
            **parts,
            "learning_rate": float(results["learning_rate"]),
            **further,
            "examples_per_second": round(rate * self._batch_size, 2),
        }
        self._metrics.write("train", report)
        drawn = {name: value for name, value in results.items() if name not in UNDRAWN}
        self._metrics.draw(drawn, self._step)
        left = (self._num_steps - self._step) / max(rate, 1e-9)
        shown = "".join(f" {name} {value:.4f}" for name, value in parts.items())
        line = (
            f"epoch {report['epoch']:.2f} loss {report['loss']:.4f}{shown} lr {report['learning_rate']:.2e} "
            f"{report['examples_per_second']:.1f} examples/s"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(line)
        else:
            log.info("step %d/%d %s ETA %s", self._step, self._num_steps, line, clock(left))


def _named(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"


def clock(seconds: float) -> str:
    """`75` -> `"1:15"`, `3700` -> `"1:01:40"`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
