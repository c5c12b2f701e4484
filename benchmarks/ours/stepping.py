"""An Estimator that runs some steps, then waits: rounds with no start-up inside, on the path that the scripts take."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.protocol import WARM_STEPS, seconds
from estimator import devices
from estimator.config import DeviceSettings, TrainingSettings
from estimator.hooks.collector import Collector
from estimator.hooks.metrics_log import MetricsLog
from estimator.hooks.progress import ProgressHook, SessionRunHook
from estimator.model_fn import Schedule, build_model_fn
from modeling.settings import ModelSettings

ENDLESS = 1_000_000
"""Steps that no benchmark reaches."""

InputFn = Callable[..., tf.data.Dataset]


class Stepping(SessionRunHook):
    """Lets an Estimator run a number of steps at a time, in a thread of its own.

    Args:
      run: trains, evaluates or predicts without end; gets this hook.
    """

    def __init__(self, run: Callable[[SessionRunHook], Any]) -> None:
        self._asked: queue.Queue[int] = queue.Queue()
        self._paused: queue.Queue[Exception | None] = queue.Queue()
        self._left = 0
        threading.Thread(target=self._guarded, args=(run,), daemon=True).start()
        self._wait()

    def seconds(self, steps: int) -> float:
        """Runs some steps; gives the time they took."""
        self._asked.put(steps)
        return seconds(self._wait)

    def before_run(self, run_context: Any) -> None:
        """Waits between two rounds."""
        del run_context
        if self._left == 0:
            self._paused.put(None)
            self._left = self._asked.get()

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Counts a step."""
        del run_context, run_values
        self._left -= 1

    def _guarded(self, run: Callable[[SessionRunHook], Any]) -> None:
        try:
            run(self)
            self._paused.put(RuntimeError("the input has ended"))
        except Exception as error:
            self._paused.put(error)

    def _wait(self) -> None:
        error = self._paused.get()
        if error is not None:
            raise error


def training(model: ModelSettings, head: Any, input_fn: InputFn, folder: Path) -> Stepping:
    """Training as `Experiment.train` runs it: `model_fn`, hooks, checkpoints and all; warm."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = TrainingSettings()
    estimator = _estimator(model, head, folder, Schedule(settings.learning_rate, ENDLESS, ENDLESS // 10))
    progress = ProgressHook(ENDLESS, settings.train_batch_size, ENDLESS, settings.log_every_n_steps, MetricsLog(folder))
    stepping = Stepping(lambda hook: estimator.train(input_fn, [progress, hook]))
    stepping.seconds(WARM_STEPS)
    return stepping


def evaluation(model: ModelSettings, head: Any, input_fn: InputFn, folder: Path) -> Stepping:
    """Evaluation as `Experiment.evaluate` runs it, on an input without end; warm."""
    estimator = _estimator(model, head, folder, collector=Collector())
    stepping = Stepping(lambda hook: estimator.evaluate(lambda: input_fn().repeat(), steps=ENDLESS, hooks=[hook]))
    stepping.seconds(WARM_STEPS)
    return stepping


def prediction(model: ModelSettings, head: Any, input_fn: InputFn, folder: Path) -> Callable[[], dict[str, Any]]:
    """Prediction as `Experiment.predict` runs it, on an input without end; a call gives a batch of outputs."""
    estimator = _estimator(model, head, folder)
    batches: queue.Queue[dict[str, Any]] = queue.Queue()

    # In a thread of its own, since the generator holds its graph as that of the thread.
    def run(hook: SessionRunHook) -> None:
        for batch in estimator.predict(lambda: input_fn().repeat(), hooks=[hook], yield_single_examples=False):
            batches.put(batch)

    stepping = Stepping(run)

    def following() -> dict[str, Any]:
        stepping.seconds(1)
        return batches.get()

    return following


def _estimator(
    model: ModelSettings, head: Any, folder: Path, schedule: Schedule | None = None, collector: Any = None
) -> Any:
    devices.quiet_tensorflow()
    model_fn = build_model_fn(model, head, schedule, collector=collector)
    return devices.build_estimator(model_fn, folder, TrainingSettings(), DeviceSettings())
