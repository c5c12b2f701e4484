"""Frozen settings of a run, filled from flags by the scripts; no module below reads a flag."""

import dataclasses
from pathlib import Path

from common.errors import DataError
from modeling.settings import FLOAT32, ModelSettings, UpdateRule
from modeling.training.freezing import NOTHING_FROZEN, FrozenParts

STOP, SKIP = "stop", "skip"
"""What to do at an update that is not finite."""
ADAMW, LAMB = "adamw", "lamb"
"""Optimizers by name."""


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Upstream's training flags, with upstream's defaults.

    Args:
      train_batch_size: rows of one optimizer update, over all devices.
      optimizer: `"adamw"`, upstream's, or `"lamb"`.
      warmup_proportion: fraction of the steps in which the learning rate rises from 0.
      num_train_steps: updates to train for; None for as many as `num_train_epochs` make.
      num_warmup_steps: updates in which the learning rate rises from 0; None for `warmup_proportion` of all.
      max_eval_steps: most batches of an evaluation; None for all.
      shuffle_buffer: most records that are shuffled at once; an epoch of fewer is shuffled as a whole.
      seed: of the shuffle, new weights and dropout.
      save_checkpoints_steps: steps between checkpoints.
      keep_checkpoint_max: checkpoints kept; 0 keeps all.
      log_every_n_steps: steps between two lines of progress.
      eval_every_n_steps: steps between two evaluations while training goes on, each of a checkpoint that is saved
        then, in place of `save_checkpoints_steps`; None evaluates only when asked to.
      best_metric: the score that says which checkpoint is best; None for the task's own choice.
      early_stopping_patience: evaluations without a better score after which training stops; None never stops.
      keep_best_checkpoint: keep the best checkpoint, and evaluate, predict and export with it.
      gradient_accumulation_steps: parts of a batch that are computed one after the other; must divide the rows of a
        batch on each device.
      recompute: compute activations again in the backward pass instead of keeping them.
      frozen: parts of the encoder that are not trained.
      head_learning_rate: peak rate of what stands on the encoder; None for `learning_rate`.
      layerwise_lr_decay: factor between the rates of neighbouring layers; None for one rate.
      weight_decay, adam_beta1, adam_beta2, adam_epsilon, clip_norm, adam_bias_correction, decay_after_warmup: as in
        `modeling.settings.UpdateRule`.
      on_nan: what an update does whose loss or gradients are not finite: `"stop"` the run, or be left out (`"skip"`).
      deterministic: equal commands give equal bits, also where one of them was stopped and started again.
    """

    train_batch_size: int = 32
    eval_batch_size: int = 8
    predict_batch_size: int = 8
    learning_rate: float = 5e-5
    optimizer: str = ADAMW
    num_train_epochs: float = 3.0
    warmup_proportion: float = 0.1
    num_train_steps: int | None = None
    num_warmup_steps: int | None = None
    max_eval_steps: int | None = None
    shuffle_buffer: int = 1_000_000
    seed: int = 12345
    save_checkpoints_steps: int = 1000
    keep_checkpoint_max: int = 5
    log_every_n_steps: int = 50
    eval_every_n_steps: int | None = None
    best_metric: str | None = None
    early_stopping_patience: int | None = None
    keep_best_checkpoint: bool = False
    gradient_accumulation_steps: int = 1
    recompute: bool = False
    frozen: FrozenParts = NOTHING_FROZEN
    head_learning_rate: float | None = None
    layerwise_lr_decay: float | None = None
    weight_decay: float = UpdateRule.weight_decay
    adam_beta1: float = UpdateRule.adam_beta1
    adam_beta2: float = UpdateRule.adam_beta2
    adam_epsilon: float = UpdateRule.adam_epsilon
    clip_norm: float = UpdateRule.clip_norm
    adam_bias_correction: bool = UpdateRule.adam_bias_correction
    decay_after_warmup: bool = UpdateRule.decay_after_warmup
    deterministic: bool = False
    on_nan: str = STOP

    @property
    def rule(self) -> UpdateRule:
        """The optimizer's numbers."""
        return UpdateRule(**{field.name: getattr(self, field.name) for field in dataclasses.fields(UpdateRule)})

    def steps_over(self, num_records: int) -> int:
        """Updates of a whole training.

        Args:
          num_records: of the training set.

        Raises:
          DataError: the epochs over so many records make no update.
        """
        if self.num_train_steps is not None:
            return self.num_train_steps
        steps = int(num_records / self.train_batch_size * self.num_train_epochs)
        if steps < 1:
            raise DataError(
                f"{num_records} training rows, --train_batch_size={self.train_batch_size} and "
                f"--num_train_epochs={self.num_train_epochs:g} make no step; train for more epochs, lower the batch "
                "size or add rows"
            )
        return steps


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """Where the graph runs, and how it computes.

    Args:
      use_tpu: run on a TPU through TPUEstimator, which also means static shapes.
      tpu_estimator_on_cpu: run TPUEstimator without a TPU, to check its graph.
      pad_to_max_length: pad every row to `max_seq_length`, as XLA and TPU need; no compute is saved on padding.
      precision: `"float32"`, `"bf16"` or `"fp16"`; weights, checkpoints and exports are float32 with each.
      use_xla: compile the graph, on static shapes.
      num_gpus: GPUs to train on; None for all of this machine.
      require_gpu: do not run on a CPU alone.
    """

    use_tpu: bool = False
    tpu_name: str | None = None
    tpu_zone: str | None = None
    gcp_project: str | None = None
    master: str | None = None
    num_tpu_cores: int = 8
    iterations_per_loop: int = 1000
    pad_to_max_length: bool = False
    tpu_estimator_on_cpu: bool = False
    precision: str = FLOAT32
    use_xla: bool = False
    num_gpus: int | None = None
    require_gpu: bool = False

    @property
    def uses_tpu_estimator(self) -> bool:
        """Whether TPUEstimator drives the run."""
        return self.use_tpu or self.tpu_estimator_on_cpu

    @property
    def needs_static_shapes(self) -> bool:
        """Whether every batch must have one shape."""
        return self.pad_to_max_length or self.use_xla or self.uses_tpu_estimator


@dataclasses.dataclass(frozen=True)
class ExperimentSettings:
    """Everything an `Experiment` needs besides its task."""

    output_dir: Path
    model: ModelSettings
    training: TrainingSettings = TrainingSettings()
    devices: DeviceSettings = DeviceSettings()
    num_workers: int | None = None
