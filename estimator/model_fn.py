"""The one `model_fn`: encoder, head, loss, optimizer, metrics, for every task, mode and device."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from estimator.config import ADAMW, LAMB, TrainingSettings
from estimator.hooks.collector import PER_EXAMPLE_LOSS, Collector
from estimator.hooks.loss_scale import LossScaleHook, ScaleSaver
from estimator.hooks.progress import PROGRESS, SKIPPED
from estimator.parameters import (
    group_rates,
    keep_base_out_of_checkpoints,
    report,
    table_of,
    warm_start,
    warn_of_random_weights,
)
from modeling.build import ENCODER_INPUTS, VECTORS, build_encoder
from modeling.encoder.step_seeds import seeds_by_place
from modeling.heads.base import Encode, Head, Reader
from modeling.parameter_groups import ParameterTable
from modeling.settings import FLOAT32, FP16, UPSTREAMS_RULE, ModelSettings, UpdateRule
from modeling.training import replicas
from modeling.training.accumulation import Accumulated, accumulate
from modeling.training.freezing import NOTHING_FROZEN, FrozenParts
from modeling.training.lamb import LambOptimizer
from modeling.training.loss_scale import LossScale
from modeling.training.optimization import create_optimizer, gradients_of, learning_rate_schedule
from modeling.training.update_guard import UpdateGuard
from processors.records.input_fn import cut_to_longest
from processors.records.length_order import ROW_INDEX


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The length and height of the learning-rate curve, in optimizer updates, and what follows it."""

    learning_rate: float
    num_train_steps: int
    num_warmup_steps: int
    optimizer: str = ADAMW
    head_learning_rate: float | None = None
    layerwise_lr_decay: float | None = None
    rule: UpdateRule = UPSTREAMS_RULE

    @classmethod
    def of(cls, training: TrainingSettings, num_train_steps: int) -> "Schedule":
        """The schedule that the settings ask for, over so many steps."""
        warmup = training.num_warmup_steps
        if warmup is None:
            warmup = int(num_train_steps * training.warmup_proportion)
        rates = (training.optimizer, training.head_learning_rate, training.layerwise_lr_decay)
        return cls(training.learning_rate, num_train_steps, warmup, *rates, training.rule)


@dataclasses.dataclass(frozen=True)
class GraphSettings:
    """How the graph is built.

    Args:
      packed: leave padding out of every computation but attention; needs dynamic shapes.
      tpu_estimator: return a TPUEstimatorSpec.
      use_tpu: the graph runs on a TPU.
      micro_batches: parts of a training batch that are computed one after the other.
      recompute: compute activations again in the backward pass.
      token_fields: features with a value for each token, `[B, S]`; packed, each part has the S of its own longest row.
      precision: what the layers multiply in, as in `DeviceSettings`.
      frozen: parts of the encoder that get no gradient.
      dropout_seed: drop values by step and place, see `modeling.encoder.step_seeds`; None draws on from session start.
      skips_not_finite: leave out updates whose loss or gradients are not finite.
    """

    packed: bool = True
    tpu_estimator: bool = False
    use_tpu: bool = False
    micro_batches: int = 1
    recompute: bool = False
    token_fields: tuple[str, ...] = ENCODER_INPUTS
    precision: str = FLOAT32
    frozen: FrozenParts = NOTHING_FROZEN
    dropout_seed: int | None = None
    skips_not_finite: bool = False


def build_model_fn(
    model: ModelSettings,
    head: Reader,
    schedule: Schedule | None = None,
    graph: GraphSettings = GraphSettings(),
    collector: Collector | None = None,
) -> Callable[..., Any]:
    """Makes the `model_fn` of an Estimator or TPUEstimator.

    Args:
      model: encoder; its `init_checkpoint` is read only where given (no checkpoint to resume from).
      head: losses, predictions and metrics; a mere `Reader` suffices to predict.
      schedule: of the learning rate; needed to train.
      collector: receives the outputs and gold fields of every evaluated row, off a TPU.
    """

    # Under a strategy, TensorFlow would translate the function and all it calls to graph code, which it is.
    @tf.autograph.experimental.do_not_convert
    def spec(features: dict[str, tf.Tensor], mode: str, config: Any) -> Any:
        is_training = mode == tf.estimator.ModeKeys.TRAIN
        with seeds_by_place(graph.dropout_seed if is_training else None):
            if is_training and graph.micro_batches > 1:
                return _accumulating_spec(model, head, features, schedule, graph, config)
            logits = head.read(_encoder(model, head, is_training, graph), features, is_training)
        table = _started(model, head, schedule, graph)
        if mode == tf.estimator.ModeKeys.PREDICT:
            return _spec(graph, mode=mode, predictions=_predictions(head, logits, features))
        if not isinstance(head, Head):
            raise ValueError(f"{type(head).__name__} can only predict")
        loss, per_example_loss = head.loss(logits, features)
        if is_training:
            loss = _loss_over_replicas(head, logits, features, loss)
            report(table, model, graph.frozen, schedule.learning_rate if schedule else None)
            return _training_spec(graph, table, config, loss, schedule, _loss_scale(graph))
        return _evaluation_spec(graph, head, features, logits, (loss, per_example_loss), collector)

    def model_fn(features: dict[str, tf.Tensor], labels: Any, mode: str, params: Any, config: Any = None) -> Any:
        del labels, params  # the record holds both, and TPUEstimator's batch size is the input's affair
        return spec(features, mode, config)

    return model_fn


def _encoder(model: ModelSettings, head: Reader, is_training: bool, graph: GraphSettings) -> Encode:
    return functools.partial(
        build_encoder,
        model,
        head,
        is_training=is_training,
        packed=graph.packed,
        recompute=graph.recompute,
        precision=graph.precision,
    )


def _loss_over_replicas(head: Head, logits: Any, features: dict[str, tf.Tensor], loss: tf.Tensor) -> tf.Tensor:
    """A loss whose mean over the replicas is that of the global batch, however unequal the weights of their rows are.

    Where there is one replica, it is the loss itself.
    """
    if replicas.count() == 1:
        return loss
    whole = replicas.mean(head.loss_weights(features))
    return tf.add_n(list(head.loss_shares(logits, features, whole).values()))


def _predictions(head: Reader, logits: Any, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The head's, and the numbers of the rows where they are not in order."""
    numbers = {ROW_INDEX: features[ROW_INDEX]} if ROW_INDEX in features else {}
    return {**head.predictions(logits, features), **numbers}


def _started(model: ModelSettings, head: Reader, schedule: Schedule | None, graph: GraphSettings) -> ParameterTable:
    """Lets the variables of the graph start from the model's weights, and says how each is trained."""
    new = warm_start(model, head)
    if model.cached_as is not None:  # of the encoder, all that a base may lack is a pooler, which then nothing reads
        new = tuple(name for name in new if not name.startswith("bert/"))
    rates = (
        ()
        if schedule is None
        else group_rates(model, schedule.learning_rate, schedule.head_learning_rate, schedule.layerwise_lr_decay)
    )
    rule = schedule.rule if schedule else UPSTREAMS_RULE
    table = table_of(model, head, graph.frozen, rule, rates, new)
    if model.init_checkpoint is not None:
        warn_of_random_weights(table, graph.frozen, new)
    if model.needs_base:
        keep_base_out_of_checkpoints(table, new)
    return table


def _accumulating_spec(
    model: ModelSettings,
    head: Reader,
    features: dict[str, tf.Tensor],
    schedule: Schedule | None,
    graph: GraphSettings,
    config: Any,
) -> Any:
    """Training on the parts of a batch one after the other."""
    if not isinstance(head, Head):
        raise ValueError(f"{type(head).__name__} can only predict")
    whole = replicas.mean(head.loss_weights(features))

    def loss_shares(part: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if graph.packed:
            part = cut_to_longest(part, graph.token_fields)
        return head.loss_shares(head.read(_encoder(model, head, True, graph), part, True), part, whole)

    def trained() -> list[tf.Variable]:
        # What is new in a base is known here, when the variables are made, and not before.
        if "table" not in started:
            started["table"] = _started(model, head, schedule, graph)
        return started["table"].trained(tf.compat.v1.trainable_variables())

    started: dict[str, ParameterTable] = {}
    loss_scale = _loss_scale(graph)
    gradients = functools.partial(gradients_of, use_tpu=graph.use_tpu, loss_scale=loss_scale)
    accumulated = accumulate(loss_shares, gradients, features, graph.micro_batches, trained)
    table = started["table"]
    report(table, model, graph.frozen, schedule.learning_rate if schedule else None)
    for name, part in accumulated.loss_parts.items():
        if name != "loss":
            tf.identity(part, PROGRESS + name)
    return _training_spec(graph, table, config, accumulated.loss, schedule, loss_scale, accumulated)


def _loss_scale(graph: GraphSettings) -> LossScale | None:
    return LossScale() if graph.precision == FP16 else None


def _training_spec(
    graph: GraphSettings,
    table: ParameterTable,
    config: Any,
    loss: tf.Tensor,
    schedule: Schedule | None,
    loss_scale: LossScale | None,
    accumulated: Accumulated | None = None,
) -> Any:
    fields: dict[str, Any] = {"mode": tf.estimator.ModeKeys.TRAIN, "loss": loss}
    guard = UpdateGuard(graph.skips_not_finite)
    fields["train_op"] = _train_op(loss, schedule, graph, table, loss_scale, accumulated, guard)
    if guard.norm is not None:
        tf.identity(guard.norm, f"{PROGRESS}gradient_norm")
    if guard.is_finite is not None:
        tf.identity(tf.logical_not(guard.is_finite), f"{PROGRESS}{SKIPPED}")
        # The Estimator stops at a loss that is no number.
        fields["loss"] = tf.where(guard.is_finite, loss, tf.zeros_like(loss))
    if loss_scale is not None:
        fields["training_hooks"] = [LossScaleHook(loss_scale)]
        saver = ScaleSaver(config.keep_checkpoint_max if config else None)
        fields["scaffold"] = tf.compat.v1.train.Scaffold(saver=saver)
    return _spec(graph, **fields)


def _train_op(
    loss: tf.Tensor,
    schedule: Schedule | None,
    graph: GraphSettings,
    table: ParameterTable,
    loss_scale: LossScale | None,
    accumulated: Accumulated | None,
    guard: UpdateGuard,
) -> tf.Operation:
    if schedule is None:
        raise ValueError("training needs a schedule")
    steps = (schedule.num_train_steps, schedule.num_warmup_steps, schedule.rule.decay_after_warmup)
    rate = learning_rate_schedule(schedule.learning_rate, *steps)
    # Named so that the progress hook finds them; TensorBoard shows them beside the loss.
    tf.identity(rate, "progress/learning_rate")
    tf.identity(loss, "progress/loss")
    if loss_scale is not None:
        tf.identity(loss_scale.value, "progress/loss_scale")
    return create_optimizer(
        loss,
        schedule.learning_rate,
        schedule.num_train_steps,
        schedule.num_warmup_steps,
        use_tpu=graph.use_tpu,
        learning_rate=rate,
        accumulated=accumulated,
        optimizer=LambOptimizer if schedule.optimizer == LAMB else None,
        loss_scale=loss_scale,
        table=table,
        rule=schedule.rule,
        guard=guard,
    )


def _evaluation_spec(
    graph: GraphSettings,
    head: Head,
    features: dict[str, tf.Tensor],
    logits: Any,
    losses: tuple[tf.Tensor, tf.Tensor],
    collector: Collector | None,
) -> Any:
    loss, per_example_loss = losses
    hooks = []
    if collector is not None and not graph.use_tpu:
        gold = {name: value for name, value in features.items() if name not in (*ENCODER_INPUTS, VECTORS)}
        kept = {**gold, **head.predictions(logits, features), PER_EXAMPLE_LOSS: per_example_loss}
        collector.watch(kept, head.row_constants)
        hooks.append(collector)
    # Flat, as TPUEstimator has it: logits of several kinds are put together again on the other side.
    flat = {f"logits_{name}": value for name, value in logits.items()} if isinstance(logits, dict) else {}
    tensors = {**features, **(flat or {"logits": logits}), "per_example_loss": per_example_loss}

    def metric_fn(**values: tf.Tensor) -> dict[str, Any]:
        kinds = {name.removeprefix("logits_"): values[name] for name in flat}
        return head.metrics(kinds or values["logits"], values, values["per_example_loss"])

    if graph.tpu_estimator:
        return _spec(
            graph,
            mode=tf.estimator.ModeKeys.EVAL,
            loss=loss,
            eval_metrics=(metric_fn, tensors),
            evaluation_hooks=hooks,
        )
    return _spec(
        graph,
        mode=tf.estimator.ModeKeys.EVAL,
        loss=loss,
        eval_metric_ops=metric_fn(**tensors),
        evaluation_hooks=hooks,
    )


def _spec(graph: GraphSettings, **fields: Any) -> Any:
    if graph.tpu_estimator:
        return tf.compat.v1.estimator.tpu.TPUEstimatorSpec(**fields)
    return tf.estimator.EstimatorSpec(**fields)
