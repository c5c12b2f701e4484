"""The model of a run: which weights a command begins with, and the Estimator over them."""

import dataclasses
from typing import Any

from common.cluster.base import ALONE, Cluster
from common.errors import FlagError
from common.run_directory import warn_of_another_head
from estimator import devices
from estimator.config import SKIP, ExperimentSettings
from estimator.hooks.collector import Collector
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from estimator.soft_targets import trained_head
from estimator.weights import RunCheckpoints
from modeling.checkpoints.bases import check_base, check_kept_pooler
from modeling.checkpoints.earlier_reading import check_reading
from modeling.checkpoints.first_weights import check_weights
from modeling.checkpoints.label_order import places_of_labels
from modeling.checkpoints.restore import checkpoint_variables
from modeling.checkpoints.trained_heads import lacking_weights
from modeling.settings import ModelSettings
from tasks.base import Task


class RunModel:
    """Encoder and head of a run, from its own checkpoint or from the weights that it starts with.

    Args:
      task: what is learned.
      settings: model, training, devices, output directory.
      checkpoints: of the run.
      cluster: the machines that train together.
    """

    def __init__(
        self, task: Task, settings: ExperimentSettings, checkpoints: RunCheckpoints, cluster: Cluster = ALONE
    ) -> None:
        self._task = task
        self._settings = settings
        self._checkpoints = checkpoints
        self._cluster = cluster
        self._label_places: tuple[int, ...] = ()
        self._is_head_there = False

    def check(self, is_training: bool = False) -> None:
        """Reads the weights that the run will begin with against the model, before anything is written.

        Args:
          is_training: whether it begins with training, which can do without weights.

        Raises:
          CheckpointError: they cannot be read, or do not fit the model configuration.
          FlagError: there are none.
        """
        model = self._settings.model
        if self._checkpoints.verify() is not None and not model.needs_base:
            return
        if model.init_checkpoint is not None:
            self._check_first(model, model.init_checkpoint, is_training)
        elif not is_training:
            raise FlagError(
                f"--init_checkpoint is missing: {self._settings.output_dir} has no trained checkpoint; "
                "run with --do_train first, or choose the --output_dir of a trained model"
            )

    def _check_first(self, model: ModelSettings, init_checkpoint: str, is_training: bool) -> None:
        """Compares the first weights with the model, and settles what a head among them is to this run."""
        check_weights(model.bert_config, init_checkpoint, model.is_cut, model.added_rows)
        identity, head = self._task.identity(), self._task.head(is_training=False)
        lacking = set(lacking_weights(model, head))
        if model.cached_as is not None:
            check_kept_pooler(init_checkpoint, lacking)
        given = set(checkpoint_variables(model.init_adapter)) if model.init_adapter else set()
        self._is_head_there = lacking <= given
        missing = lacking | given
        if not set(head.replaceable) & missing:
            self._label_places = places_of_labels(init_checkpoint, identity.get("labels", []))
        warn_of_another_head(init_checkpoint, identity.get("head"))
        if not (set(head.replaceable) or missing) & missing and self._checkpoints.latest() is None:
            check_reading(init_checkpoint, model, is_training)

    def exported_checkpoint(self) -> str | None:
        """Prefix of the checkpoint that is exported; None for `init_checkpoint`, whose head is trained.

        Raises:
          FlagError: neither has a trained head.
        """
        is_adapter = self._settings.model.init_adapter is not None
        is_first = self._is_head_there and not is_adapter and self._checkpoints.answering() is None
        return None if is_first else self.trained_checkpoint()

    def trained_checkpoint(self) -> str:
        """Prefix of the checkpoint that is evaluated and exported.

        Raises:
          FlagError: there is none to export.
        """
        checkpoint = self._checkpoints.answering()
        if checkpoint is None:
            raise FlagError(
                f"--do_export: {self._settings.output_dir} has no trained checkpoint; run with --do_train first, or "
                "give an --init_checkpoint that has a trained head for these labels"
            )
        return checkpoint

    @property
    def answers_untrained(self) -> bool:
        """Whether neither the run nor what it starts from has a trained head."""
        return self._checkpoints.global_step() == 0 and not self._is_head_there

    def estimator(self, schedule: Schedule | None = None, collector: Collector | None = None) -> Any:
        """An Estimator that trains, if there is a schedule, or answers.

        Args:
          schedule: of the learning rate.
          collector: gets the values of each row that is evaluated.
        """
        device = self._settings.devices
        model = self.settings()
        graph = GraphSettings(
            packed=not device.needs_static_shapes,
            tpu_estimator=device.uses_tpu_estimator,
            use_tpu=device.use_tpu,
            micro_batches=self._settings.training.gradient_accumulation_steps,
            recompute=self._settings.training.recompute,
            frozen=self._settings.training.frozen,
            token_fields=self._task.record_spec.token_fields(),
            precision=device.precision,
            skips_not_finite=self._settings.training.on_nan == SKIP,
            dropout_seed=self._settings.training.seed if self._settings.training.deterministic else None,
        )
        head = self._task.head(False) if schedule is None else trained_head(self._task)
        model_fn = build_model_fn(model, head, schedule, graph, collector)
        cluster = ALONE if schedule is None else self._cluster
        return devices.build_estimator(model_fn, self._settings.output_dir, self._settings.training, device, cluster)

    def settings(self) -> ModelSettings:
        """The model, with the weights that it begins from unless there are some that were trained here.

        Raises:
          CheckpointError: the base that checkpoints leave out has other weights than when the command began.
        """
        model = self._settings.model
        if model.init_checkpoint is not None and model.base_fingerprint is not None:
            check_base(model.init_checkpoint, model.base_fingerprint)
        if not self._checkpoints.latest():
            return dataclasses.replace(model, label_places=self._label_places)
        return model if model.needs_base else dataclasses.replace(model, init_checkpoint=None)
