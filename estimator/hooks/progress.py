"""Progress of training: a bar on a terminal, plain lines elsewhere."""

import logging
import math
import sys
import time
from typing import Any

import psutil
import tensorflow as tf

from common.errors import BertError
from estimator.hooks.metrics_log import MetricsLog

log = logging.getLogger(__name__)

PROGRESS = "progress/"

SessionRunHook: Any = tf.compat.v1.train.SessionRunHook
SessionRunArgs = tf.compat.v1.train.SessionRunArgs


def progress_tensors() -> dict[str, tf.Tensor]:
    """Scalars of the graph that are reported while it trains: those named `progress/...`, by the rest of the name.

    `loss` and `learning_rate` always; a head whose loss is a sum names its parts `..._loss`.
    """
    operations = tf.compat.v1.get_default_graph().get_operations()
    named = (operation for operation in operations if operation.name.startswith(PROGRESS))
    return {operation.name.removeprefix(PROGRESS): operation.outputs[0] for operation in named}


def nan_loss(where: str = "", further_advice: str = "") -> BertError:
    """What to say of a loss that is no number.

    Args:
      where: what is known of the step.
      further_advice: in this case.
    """
    return BertError(
        f"training: the loss became NaN{where}; expected a finite number; lower --learning_rate{further_advice} "
        "or look for broken rows with --validate_only"
    )


class ProgressHook(SessionRunHook):
    """Loss, learning rate, examples/s, epoch and time left: a bar on a terminal, plain lines elsewhere.

    Args:
      num_steps: the step at which training ends.
      batch_size: rows a step.
      num_examples: rows an epoch.
      every: steps between two reports; tensors are fetched only then.
      metrics: receives every report.
    """

    def __init__(self, num_steps: int, batch_size: int, num_examples: int, every: int, metrics: MetricsLog) -> None:
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._num_examples = num_examples
        self._every = max(every, 1)
        self._metrics = metrics
        self._bar: Any = None
        self._first = self._step = self._reported_step = 0
        self._reported_at = 0.0
        self._last_loss = ""

    def begin(self) -> None:
        """Finds the tensors of the graph that is about to run."""
        self._fetches = {"step": tf.compat.v1.train.get_global_step(), **progress_tensors()}
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
          BertError: the loss is NaN.
        """
        del run_context
        if self._step == self._first:
            seconds = time.time() - psutil.Process().create_time()
            log.info("first step done %.1f s after launch", seconds)
            self._metrics.write("start", {"step": self._step + 1, "seconds_from_launch": round(seconds, 2)})
        self._step += 1
        self._require_number(run_values.results)
        if self._bar is not None:
            self._bar.update(1)
        if self._is_due(self._step):
            self._report(run_values.results)

    def exclude(self, seconds: float) -> None:
        """Leaves time that went into something else out of the rate of the next report."""
        self._reported_at += seconds

    def end(self, session: Any) -> None:
        """Closes the bar."""
        del session
        if self._bar is not None:
            self._bar.close()

    def _require_number(self, results: dict[str, Any]) -> None:
        loss = float(results["loss"])
        if math.isnan(loss):
            raise nan_loss(
                f" at step {self._step} (learning rate {float(results['learning_rate']):.1e}{self._last_loss})",
                ", use --precision=bf16 in place of fp16" if "loss_scale" in results else "",
            )
        self._last_loss = f"; it was {loss:.4g} a step before"

    def _is_due(self, step: int) -> bool:
        return step % self._every == 0 or step == self._num_steps or step == 1

    def _report(self, results: dict[str, Any]) -> None:
        now = time.monotonic()
        rate = (self._step - self._reported_step) / max(now - self._reported_at, 1e-9)
        self._reported_step, self._reported_at = self._step, now
        parts = {name: float(value) for name, value in results.items() if name.endswith("_loss")}
        report = {
            "step": self._step,
            "epoch": round(self._step * self._batch_size / self._num_examples, 3),
            "loss": float(results["loss"]),
            **parts,
            "learning_rate": float(results["learning_rate"]),
            **({"loss_scale": float(results["loss_scale"])} if "loss_scale" in results else {}),
            "examples_per_second": round(rate * self._batch_size, 2),
        }
        self._metrics.write("train", report)
        self._metrics.draw({name: value for name, value in results.items() if name != "step"}, self._step)
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


def clock(seconds: float) -> str:
    """`75` -> `"1:15"`, `3700` -> `"1:01:40"`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
