"""The one lifecycle: records, training, evaluation, prediction and export of any task."""

import contextlib
import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from common.cluster.base import ALONE, Cluster
from common.errors import BertError
from common.interruption import Interruption
from estimator import bulk, devices, feature_cache, forecast, layer_mix, learning_curve, machines, memory, score_table
from estimator.config import ExperimentSettings
from estimator.engine_accuracy import accuracy_of
from estimator.evaluation import Evaluation
from estimator.failures import running
from estimator.hooks.checkpoints import CheckpointHook, Saving
from estimator.hooks.collector import Collector
from estimator.hooks.follower import FollowerHook
from estimator.hooks.metrics_log import MetricsLog
from estimator.hooks.periodic_evaluation import PeriodicEvaluation
from estimator.hooks.progress import ProgressHook, clock
from estimator.inputs import Inputs
from estimator.model_fn import Schedule
from estimator.row_values import RowValues
from estimator.run_model import RunModel
from estimator.soft_targets import SoftTargets, soft_targets_of
from estimator.streaming import AnsweredExample, ExampleStream, answered, rows_in_order
from estimator.task_records import TaskRecords
from estimator.weights import RunCheckpoints
from export.signatures import IDS, PLAIN, ExportSettings, Predict
from modeling.checkpoints.bases import completed
from processors.records import record_sets
from processors.records.featurizer import Featurizer
from processors.records.second_pass import other_rows
from tasks.base import DEV, TEST, TRAIN, Task

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Kept:
    """The last evaluation: what it is of, what keeps the values of its rows, and whether they come by length."""

    key: tuple[Any, ...]
    evaluation: Evaluation
    collector: Collector | None
    sorts: bool


class Experiment:
    """Runs a task on the devices at hand, with everything it writes under one output directory.

    Args:
      task: what is learned.
      settings: model, training, devices, output directory.
      cluster: the machines that train together; the others than the chief can do nothing but train.
    """

    def __init__(self, task: Task, settings: ExperimentSettings, cluster: Cluster = ALONE) -> None:
        self.task = task
        self.settings = settings
        self.output_dir = settings.output_dir
        self._cluster = cluster
        self._metrics = MetricsLog(settings.output_dir, cluster.is_chief)
        self._checkpoints = RunCheckpoints(settings.output_dir, settings.training.keep_best_checkpoint)
        self._records = TaskRecords(task, settings.output_dir, settings.num_workers, cluster.is_chief)
        self._inputs = Inputs(task.record_spec, settings.training, settings.devices)
        self._model = RunModel(task, settings, self._checkpoints, cluster)
        self._kept: _Kept | None = None

    def check_weights(self, is_training: bool = False) -> None:
        """Reads the weights that the run will begin with against the model; see `RunModel.check`."""
        self._model.check(is_training)

    def check_export(self) -> None:
        """Finds what will be exported, before anything is computed for it; see `RunModel.exported_checkpoint`."""
        self._model.exported_checkpoint()

    def prepare(self, splits: Iterable[str]) -> None:
        """Converts the splits that a run will read, so that a bad row of any stops it before the first step.

        Raises:
          DataError: a row that cannot be used, a split without data, or a training set smaller than one batch.
        """
        for split in splits:
            record_set = self.record_set(split)
            if split == TRAIN:
                self.settings.training.steps_over(record_set.num_records)
                self._soft_targets(record_set)

    def common_state(self) -> dict[str, Any]:
        """What all machines of a cluster must find alike, so that they train the same model on the same rows."""
        return {"trained steps": self.global_step(), "training records": self.record_set(TRAIN).num_records}

    def train(self) -> int:
        """Trains up to the number of steps that the epochs ask for, from the latest checkpoint if there is one.

        Returns:
          The global step reached. A finished run is said to be finished and left as it is.

        Raises:
          DataError: the training set is smaller than one batch, or a record is damaged.
          BertError: the loss became NaN, or the memory did not suffice.
        """
        record_set = self.record_set(TRAIN)
        num_steps = self.settings.training.steps_over(record_set.num_records)
        start = self.global_step()
        watch = self._periodic_evaluation(start)
        if self._cluster.tell(self._cluster.is_chief and self._has_ended(start, num_steps, watch)):
            return start
        log.info("training %d to %d of %d steps on %d rows", start, num_steps, num_steps, record_set.num_records)
        self._forecast(record_set, num_steps - start)
        self._update(record_set, start, num_steps, watch)
        if watch:
            log.info("%s", watch.summary())
            learning_curve.draw(self._metrics.read(), self.output_dir / learning_curve.FILE)
        if self.settings.model.reading.mix:
            layer_mix.report(self._model.trained_checkpoint(), self.settings.model.reading, self.output_dir)
        memory.report(self._metrics)
        return self.global_step()

    def _forecast(self, record_set: record_sets.RecordSet, steps: int) -> None:
        """Says what the run will take."""
        training = self.settings.training
        with running(record_set, deterministic=False):
            lengths = self._inputs.lengths(record_set)
        if not lengths:
            return
        gpus = devices.num_gpus(self.settings.devices)
        machines_there = len(self._cluster.member.names) if self._cluster.member else 1
        work = forecast.Work(
            self.settings.model.bert_config, training.train_batch_size, sum(lengths) / len(lengths), max(lengths),
            steps, max(gpus, 1) * machines_there, training.gradient_accumulation_steps, training.recompute,
        )  # fmt: skip
        log.info("%s", forecast.line(work, gpus > 0, clock))

    def _update(
        self, record_set: record_sets.RecordSet, start: int, num_steps: int, watch: PeriodicEvaluation | None
    ) -> None:
        """Makes the updates from `start` to `num_steps`."""
        training = self.settings.training
        interruption = Interruption()
        self._cluster.on_stop = interruption.request
        hooks = self._training_hooks(interruption, watch, num_steps, record_set.num_records)
        if self._cluster.is_chief:
            self._checkpoints.settle()
        with running(record_set, training.deterministic), memory.advice(training), interruption.handled():
            vectors = self._soft_targets(record_set) or self._vectors(record_set)
            input_fn = self._inputs.input_fn(record_set, training.train_batch_size, start, vectors=vectors)
            with machines.session_mode(self._cluster):
                estimator = self._model.estimator(schedule=Schedule.of(training, num_steps))
                self._cluster.wait()  # for everyone's server
                estimator.train(input_fn, hooks, None, num_steps)
        self._cluster.wait()  # or a machine would wait for tensors of one that has left

    def _has_ended(self, start: int, num_steps: int, watch: PeriodicEvaluation | None) -> bool:
        """Whether training has nothing left to do. What an earlier command was stopped before is made up for first."""
        if watch and watch.is_missing(start) and (start % watch.every == 0 or start == num_steps):
            watch.evaluate(start)
        if start >= num_steps:
            log.info(
                "%s is trained: %d of %d steps are done. Nothing to train; raise %s to go on, "
                "or choose another --output_dir to start anew.", self.output_dir, start, num_steps,
                "--num_train_epochs" if self.settings.training.num_train_steps is None else "--num_train_steps",
            )  # fmt: skip
        elif watch and watch.is_out_of_patience():
            log.info("%s was stopped early at step %d: %s", self.output_dir, start, watch.summary())
        else:
            return False
        self._checkpoints.drop_surplus(self.settings.training.keep_checkpoint_max)
        curve = self.output_dir / learning_curve.FILE
        if watch and not curve.exists():
            learning_curve.draw(self._metrics.read(), curve)
        return True

    def _training_hooks(
        self, interruption: Interruption, watch: PeriodicEvaluation | None, num_steps: int, num_records: int
    ) -> list[Any]:
        training = self.settings.training
        if not self._cluster.is_chief:
            return [FollowerHook(self._cluster, interruption, training.eval_every_n_steps)]
        every = training.log_every_n_steps
        progress = ProgressHook(
            num_steps, training.train_batch_size, num_records, every, self._metrics, self._rows_of_step
        )
        return [progress, *self._checkpoint_hooks(interruption, watch, progress)]

    def _rows_of_step(self, step: int) -> list[str]:
        """Names of the rows that an update is made of; none where they cannot be found any more."""
        record_set = self.record_set(TRAIN)
        try:
            return self._records.ids(TRAIN, record_set, self._inputs.places_of_step(record_set, step))
        except (BertError, OSError, tf.errors.OpError) as error:  # the update is what is wrong, not this
            log.warning("the rows of step %d are not known: %s", step, error)
            return []

    def _checkpoint_hooks(
        self, interruption: Interruption, watch: PeriodicEvaluation | None, progress: ProgressHook
    ) -> list[CheckpointHook]:
        if self.settings.devices.uses_tpu_estimator:  # it runs many steps at once, and saves by itself
            return []
        training = self.settings.training
        every = training.eval_every_n_steps or training.save_checkpoints_steps
        saving = Saving(self.output_dir, every, training.keep_checkpoint_max)

        def evaluate(step: int) -> bool:
            started = time.monotonic()
            stops = watch is not None and watch.evaluate(step)
            progress.exclude(time.monotonic() - started)
            return bool(self._cluster.tell(stops))

        return [CheckpointHook(saving, interruption, evaluate if watch else None)]

    def _periodic_evaluation(self, start: int) -> PeriodicEvaluation | None:
        training = self.settings.training
        if training.eval_every_n_steps is None or not self._cluster.is_chief:
            return None
        self.record_set(DEV)  # converted now, not in the midst of training
        return PeriodicEvaluation(
            lambda: self.evaluate(latest=True),
            metric=training.best_metric or self.task.main_metric,
            patience=training.early_stopping_patience,
            metrics=self._metrics,
            output_dir=self.output_dir,
            keep_best=training.keep_best_checkpoint,
            start=start,
            every=training.eval_every_n_steps,
        )

    def evaluate(self, latest: bool = False) -> dict[str, float]:
        """Evaluates the trained checkpoint (or the first weights) on the dev split.

        Args:
          latest: take the latest checkpoint even where the best one is kept.

        Writes `eval_results.txt` with upstream's keys and the task's own, `eval_results.json`, and the task's reports.
        """
        record_set = self.record_set(DEV)
        batch_size = self.settings.training.eval_batch_size
        with running(record_set, self.settings.training.deterministic):
            kept = self._evaluation_of(record_set, batch_size)
            results = kept.evaluation.run(self._checkpoints.latest() if latest else self._checkpoints.answering())
        scores = {key: score_table.plain(value) for key, value in results.items()}
        collector = kept.collector
        if collector is not None:
            if kept.sorts:
                scores["loss"] = score_table.plain(collector.mean_loss(batch_size))
            collected = collector.arrays()
            collector.clear()
            with self._records.checked_readings():
                scores |= self.task.score(collected)
        scores |= self.task.derived(scores)
        score_table.write(scores, self.output_dir, self._metrics, is_brief=latest)
        if collector is not None:  # after the scores, which no picture may cost
            self.task.write_evaluation(collected, self.output_dir, int(scores["global_step"]))
        return scores

    def _evaluation_of(self, record_set: record_sets.RecordSet, batch_size: int) -> "_Kept":
        """An evaluation of a record set; the last one, where they differ in the checkpoint alone."""
        model, written = self._model.settings(), record_set.path.stat()
        key = model, record_set.path, record_set.given, written.st_ino, written.st_mtime_ns
        if self._kept is None or self._kept.key != key:
            collects = self.task.collects_rows and not self.settings.devices.use_tpu
            collector = Collector(self.task.padding) if collects else None
            steps = self._eval_steps(record_set, batch_size)
            # Sort full evaluations only: a limit would take other batches, and the loss would change.
            sorts = steps is None and collects
            vectors = self._vectors(record_set)
            input_fn = self._inputs.input_fn(record_set, batch_size, sorts=sorts, vectors=vectors)
            evaluation = Evaluation(self._model.estimator(collector=collector), input_fn, steps)
            self._kept = _Kept(key, evaluation, collector, sorts)
        return self._kept

    def _eval_steps(self, record_set: record_sets.RecordSet, batch_size: int) -> int | None:
        """Batches to evaluate, at most one pass; None for as many as there are."""
        limit = self.settings.training.max_eval_steps
        if limit is None and not self.settings.devices.needs_static_shapes:
            return None
        batches = math.ceil(record_set.num_records / batch_size)
        return batches if limit is None else min(limit, batches)

    def predict(self, split: str = TEST, runner: bulk.Runner | None = None) -> int:
        """Answers a split (the test split by default) with the latest checkpoint; writes the task's prediction files.

        Args:
          split: its name.
          runner: of a Beam pipeline that computes the outputs; None computes them here.

        Returns:
          The number of examples answered.
        """
        record_set = self.record_set(split)
        if self._model.answers_untrained:
            log.warning("%s has no trained checkpoint: the head's weights are untrained", self.output_dir)
        predicted = self._outputs(record_set, runner)
        with (
            running(record_set, self.settings.training.deterministic),
            contextlib.closing(predicted),
            self.task.answers(self.output_dir) as sink,
        ):
            # Rows that only fill a batch of static shape come last.
            outputs = itertools.islice(predicted, record_set.num_records)
            count = 0
            for example, windows in self._records.examples(split, record_set):
                found = list(itertools.islice(outputs, len(windows)))
                if len(found) < len(windows):
                    raise other_rows(split, record_set)
                sink(example, windows, found)
                count += 1
            if count != record_set.num_examples or next(outputs, None) is not None:
                raise other_rows(split, record_set)
        log.info("answered %d rows of %s", count, record_set.path.name)
        return count

    def _outputs(
        self, record_set: record_sets.RecordSet, runner: bulk.Runner | None
    ) -> Generator[dict[str, Any], None, None]:
        """The model's outputs for each row, in order."""
        batch_size = self.settings.training.predict_batch_size
        if runner is not None:
            with bulk.temporary_folder(self.output_dir, "predict.export") as folder:
                export = self._export_to(folder, ExportSettings(IDS), merge=False)
                yield from bulk.answers(runner, export, record_set.path, record_set.num_records, batch_size)
            return
        input_fn = self._inputs.input_fn(record_set, batch_size, sorts=True)
        predicted = self._model.estimator().predict(input_fn, None, None, self._checkpoints.answering(), False)
        with contextlib.closing(predicted):
            yield from rows_in_order(predicted)

    def stream(self, featurizer: Featurizer, chunks: Iterable[Sequence[Any]]) -> Iterator[AnsweredExample]:
        """Answers examples as they come, without records on disk, with the latest checkpoint or the first weights.

        Args:
          featurizer: makes windows of examples, with all that the task's head reads.
          chunks: examples in lists.
        """
        device = self.settings.devices
        batch_size = self.settings.training.predict_batch_size
        fields = [field for field in featurizer.spec.fields if field.is_sequence]  # labels of a row are not known
        stream = ExampleStream(featurizer, chunks, batch_size, fields, device.needs_static_shapes)
        yield from answered(self._model.estimator(), stream, self._checkpoints.answering())

    def export(self, settings: ExportSettings = PLAIN, merge: bool = False) -> Path:
        """Writes SavedModels of the trained checkpoint; see `export.savedmodel`.

        Args:
          settings: what to write.
          merge: fold low-rank deltas into the layers.
        """
        return self._export_to(self.output_dir, settings, merge)

    def _export_to(self, folder: Path, settings: ExportSettings, merge: bool) -> Path:
        from export.savedmodel import export_saved_model

        checkpoint, model = self._model.exported_checkpoint(), self._model.settings()
        if model.needs_base and checkpoint is not None:
            checkpoint = completed(checkpoint, model.init_checkpoint, model.insertions if merge else None)
            model = dataclasses.replace(model, insertions=None if merge else model.insertions)
        return export_saved_model(self.task, model, checkpoint, folder, settings)

    def accuracy(self, predict: Predict) -> tuple[str, float]:
        """How right the answers on the dev split are that another engine computes; see `Task.accuracy`.

        Args:
          predict: computes the ids signature of an export.

        Raises:
          ExportError: the task has no score to compare by.
        """
        record_set, batch_size = self.record_set(DEV), self.settings.training.eval_batch_size
        with self._records.checked_readings():
            return accuracy_of(self.task, self._inputs.input_fn(record_set, batch_size, sorts=True), predict)

    def record_set(self, split: str) -> record_sets.RecordSet:
        """The record set of a split, converted now if it is not there or was made from something else."""
        return self._records.record_set(split)

    def global_step(self) -> int:
        """Optimizer updates behind the latest checkpoint; 0 without one.

        Raises:
          CheckpointError: it is damaged.
        """
        return self._checkpoints.global_step()

    def _soft_targets(self, record_set: record_sets.RecordSet) -> SoftTargets | None:
        examples = (example for example, _ in self._records.examples(TRAIN, record_set))
        return soft_targets_of(self.task, record_set, examples)

    def _vectors(self, record_set: record_sets.RecordSet) -> RowValues | None:
        return feature_cache.of_run(self.task, self.settings, self._inputs, record_set)
