"""AdamW as BERT was trained with it, its learning-rate schedule, and the training op that joins them."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from modeling.parameter_groups import UPSTREAM, ParameterTable
from modeling.settings import UPSTREAMS_RULE, UpdateRule
from modeling.training import replicas as replicas_in_sync
from modeling.training.accumulation import Accumulated, Gradient, dense_sums
from modeling.training.loss_scale import LossScale, times
from modeling.training.update_guard import UpdateGuard

CLIP_NORM = 1.0


def create_optimizer(  # noqa: PLR0913 - upstream's arguments by position, ours by name
    loss: tf.Tensor,
    init_lr: float,
    num_train_steps: int,
    num_warmup_steps: int | None,
    use_tpu: bool,
    *,
    variables: Sequence[tf.Variable] | None = None,
    learning_rate: tf.Tensor | None = None,
    accumulated: Accumulated | None = None,
    optimizer: type["AdamWeightDecayOptimizer"] | None = None,
    loss_scale: LossScale | None = None,
    table: ParameterTable = UPSTREAM,
    rule: UpdateRule = UPSTREAMS_RULE,
    guard: UpdateGuard | None = None,
) -> tf.Operation:
    """Training op: gradients clipped to global norm 1, AdamW under the schedule, one more global step.

    Args:
      loss: scalar, the mean over the batch.
      init_lr: peak learning rate.
      num_train_steps: optimizer updates until the rate is zero.
      num_warmup_steps: updates of linear warm-up; 0 or None for none.
      use_tpu: sum gradients over TPU shards.
      variables: what to train; by default all trainable variables that the table does not freeze.
      learning_rate: the rate, where the caller has made it in order to log it; `learning_rate_schedule` of the other
        arguments by default.
      accumulated: gradients of these variables, where they are computed on parts of the batch; those of `loss` by
        default. They are clipped once, over the whole batch, by the norm that `clip_gradients` describes.
      optimizer: another one with the same arguments; default AdamW.
      loss_scale: for float16; gradients are those of the loss itself all the same. Not on TPU.
      table: weight decay and learning rate of each variable; upstream's by default.
      rule: the optimizer's numbers; upstream's by default.
      guard: learns the norm of the gradients, and can leave updates out.

    Returns:
      The op that updates variables and increments `global_step` once.

    Source: `optimization.create_optimizer` of google-research/bert.
    Differences: under a `tf.distribute` strategy the gradient of the global batch is clipped, as on one device; on TPU
      each shard's is, as upstream.
    """
    if learning_rate is None:
        learning_rate = learning_rate_schedule(init_lr, num_train_steps, num_warmup_steps, rule.decay_after_warmup)
    made = (optimizer or AdamWeightDecayOptimizer)(
        learning_rate=learning_rate,
        beta_1=rule.adam_beta1,
        beta_2=rule.adam_beta2,
        epsilon=rule.adam_epsilon,
        table=table,
        group_rates={
            rate: learning_rate_schedule(rate, num_train_steps, num_warmup_steps, rule.decay_after_warmup)
            for rate in table.rates()
        },
        corrects_bias=rule.adam_bias_correction,
    )
    variables = list(table.trained(tf.compat.v1.trainable_variables()) if variables is None else variables)
    unclipped = gradients_of(loss, variables, use_tpu, loss_scale) if accumulated is None else accumulated.gradients
    global_step = tf.compat.v1.train.get_or_create_global_step()
    if use_tpu:
        gradients = clip_gradients(unclipped, rule.clip_norm, accumulated)
        update = tf.compat.v1.tpu.CrossShardOptimizer(made).apply_gradients(zip(gradients, variables, strict=True))
        with tf.control_dependencies([update]):
            return global_step.assign_add(1, read_value=False)
    if accumulated is None and replicas_in_sync.are_on_several_machines():
        # They exchange tensors of one shape alone; how many rows a sparse gradient has differs between them.
        accumulated = dense_sums(unclipped, variables)
        unclipped = accumulated.gradients
    gradients, norm = _clip_over_replicas(unclipped, rule.clip_norm, accumulated)
    if guard is not None:
        guard.watch(loss, norm)
    conditional = loss_scale or (guard if guard is not None and guard.skips else None)
    if conditional is not None:
        return conditional.apply(made, gradients, variables, global_step)
    return made.apply_and_count(zip(gradients, variables, strict=True), global_step)


def gradients_of(
    loss: tf.Tensor, variables: Sequence[tf.Variable], use_tpu: bool, loss_scale: LossScale | None = None
) -> list[Gradient | None]:
    """Gradients before clipping, in the order of the variables.

    Args:
      loss: scalar, the mean over the batch of this replica.
      variables: what to train.
      use_tpu: run on TPU shards rather than under a `tf.distribute` strategy.
      loss_scale: scales the loss, and the gradients back.

    Returns:
      A gradient for each variable, None where it has none; under a strategy their sum over the replicas is the
      gradient of the global batch.
    """
    if use_tpu:
        # Not the optimizer's compute_gradients: it would scale the loss, and clipping would no longer be upstream's.
        return tf.gradients(loss, variables)
    scaled = loss if loss_scale is None else loss_scale.scaled(loss)
    pairs = AdamWeightDecayOptimizer(0.0).compute_gradients(scaled, list(variables))
    gradients = [gradient for gradient, _ in pairs]
    return gradients if loss_scale is None else loss_scale.unscaled(gradients)


def learning_rate_schedule(
    init_lr: float, num_train_steps: int, num_warmup_steps: int | None, decays_after_warmup: bool = False
) -> tf.Tensor:
    """Learning rate of the update that is being made, counted from 1: linear rise, then linear fall to zero.

    Args:
      init_lr: peak rate.
      num_train_steps: the update at which the rate is zero.
      num_warmup_steps: updates of linear rise; 0 or None for none.
      decays_after_warmup: count the fall from the end of warm-up, where the rate is at its peak.

    Returns:
      float32 scalar. By default the fall is counted from the first update, so the rate drops a little where warm-up
      ends.

    Source: upstream as it runs. By its source the first update would be number 0, but its graph increments the global
      step in place before the rate is computed, so the first update has rate `init_lr / num_warmup_steps`.
    """
    update = tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.float32) + 1.0
    rate = tf.constant(init_lr, tf.float32)
    start = float(num_warmup_steps or 0) if decays_after_warmup else 0.0
    length = max(float(num_train_steps) - start, 1.0)
    falling = rate * (1.0 - (tf.minimum(update, float(num_train_steps)) - start) / length)
    if not num_warmup_steps:
        return falling
    rising = rate * (update / float(num_warmup_steps))
    return tf.where(update < float(num_warmup_steps), rising, falling)


def clip_gradients(
    gradients: Sequence[Gradient | None], clip_norm: float = CLIP_NORM, accumulated: Accumulated | None = None
) -> list[Gradient | None]:
    """Scale gradients down to a global norm.

    Args:
      gradients: dense or sparse; None where a variable has none. The rows of a sparse gradient count one by one, not
        added up by index, as upstream has it.
      clip_norm: the largest norm that is left as it is.
      accumulated: where gradients are sums over micro-batches, says what their rows count: one by one, too, so that
        the norm is that of the whole batch in one token.

    Returns:
      The gradients in their order.
    """
    return clip_with_norm(gradients, clip_norm, accumulated)[0]


def clip_with_norm(
    gradients: Sequence[Gradient | None], clip_norm: float = CLIP_NORM, accumulated: Accumulated | None = None
) -> tuple[list[Gradient | None], tf.Tensor]:
    """As `clip_gradients`, and the norm before clipping, a scalar."""
    if accumulated is None:
        clipped, norm = tf.clip_by_global_norm(gradients, clip_norm=clip_norm)
        return clipped, norm
    others = [gradient for index, gradient in enumerate(gradients) if index not in accumulated.row_variables]
    norm = tf.sqrt(tf.square(tf.linalg.global_norm(others)) + accumulated.squares_of_rows)
    return tf.clip_by_global_norm(gradients, clip_norm=clip_norm, use_norm=norm)[0], norm


def _clip_over_replicas(
    gradients: list[Gradient | None], clip_norm: float, accumulated: Accumulated | None = None
) -> tuple[list[Gradient | None], tf.Tensor]:
    """Clip the gradient of the global batch, wherever its parts were computed; gives its norm, too."""
    replicas = replicas_in_sync.count()
    if replicas == 1:
        return clip_with_norm(gradients, clip_norm, accumulated)
    present = [index for index, gradient in enumerate(gradients) if gradient is not None]
    gradients = list(gradients)
    for index, gradient in zip(present, replicas_in_sync.summed([gradients[i] for i in present]), strict=True):
        gradients[index] = gradient
    if accumulated is not None:
        (squares,) = replicas_in_sync.summed([accumulated.squares_of_rows])
        accumulated = dataclasses.replace(accumulated, squares_of_rows=squares)
    # Applying sums over the replicas once more, and each of them now holds the whole.
    clipped, norm = clip_with_norm(gradients, clip_norm, accumulated)
    return [None if gradient is None else times(gradient, 1.0 / replicas) for gradient in clipped], norm


class AdamWeightDecayOptimizer(tf.compat.v1.train.Optimizer):
    """Adam with decoupled weight decay, and without bias correction unless asked for.

    Args:
      learning_rate: number or scalar tensor.
      weight_decay_rate: fraction of a weight to take off each step, times the learning rate.
      beta_1: decay of the gradients' mean.
      beta_2: decay of the squared gradients' mean.
      epsilon: added to the root of the latter.
      exclude_from_weight_decay: regular expressions; a variable whose name one of them matches anywhere is not decayed.
      name: scope of the ops.
      table: weight decay and learning rate of each variable, in place of `weight_decay_rate` and
        `exclude_from_weight_decay`.
      group_rates: number or scalar tensor for each learning rate of the table.
      corrects_bias: correct the means for their start at zero, as Adam does; upstream does not.

    Source: arXiv:1711.05101; `AdamWeightDecayOptimizer` of google-research/bert.
    Differences: a TensorFlow optimizer in full, with slots (`<variable>/adam_m`, `<variable>/adam_v`), so it works
      under `tf.distribute`.
    """

    def __init__(  # noqa: PLR0913 - upstream's arguments by position, ours by name
        self,
        learning_rate: float | tf.Tensor,
        weight_decay_rate: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        exclude_from_weight_decay: Sequence[str] | None = None,
        name: str = "AdamWeightDecayOptimizer",
        *,
        table: ParameterTable | None = None,
        group_rates: Mapping[float, float | tf.Tensor] | None = None,
        corrects_bias: bool = False,
    ) -> None:
        super().__init__(use_locking=False, name=name)
        self.learning_rate = learning_rate
        self.weight_decay_rate = weight_decay_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.exclude_from_weight_decay = list(exclude_from_weight_decay or [])
        self._table, self._group_rates = table, dict(group_rates or {})
        self.corrects_bias = corrects_bias

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Gradient | None, tf.Variable]],
        global_step: tf.Variable | None = None,
        name: str | None = None,
    ) -> tf.Operation:
        """The update; `global_step` is left alone, as upstream leaves it: its callers count for themselves."""
        del global_step
        return super().apply_gradients(grads_and_vars, name=name)

    def apply_and_count(
        self, grads_and_vars: Iterable[tuple[Gradient | None, tf.Variable]], global_step: tf.Variable
    ) -> tf.Operation:
        """The update, and one more in `global_step` after it."""
        return super().apply_gradients(grads_and_vars, global_step)

    def _create_slots(self, var_list: Sequence[tf.Variable]) -> None:
        for variable in var_list:
            self._zeros_slot(variable, "m", "adam_m")
            self._zeros_slot(variable, "v", "adam_v")

    def _prepare(self) -> None:
        self._rate = tf.convert_to_tensor(self.learning_rate, tf.float32, name="learning_rate")
        self._rates = {own: tf.convert_to_tensor(rate, tf.float32) for own, rate in self._group_rates.items()}
        update = tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.float32) + 1.0
        self._powers = (tf.pow(self.beta_1, update), tf.pow(self.beta_2, update)) if self.corrects_bias else None
        # What all variables share is in the graph once: BERT-base has 200 of them, and an operation takes time to make.
        # The kernel divides the rate by 1 - beta1_power and multiplies it with the root of 1 - beta2_power: powers of
        # zero switch its bias correction off. It adds epsilon before the correction, the method after it.
        power_1, power_2 = self._powers or (tf.zeros([]), tf.zeros([]))
        self._numbers = {
            "beta1_power": power_1,
            "beta2_power": power_2,
            "beta1": tf.constant(self.beta_1),
            "beta2": tf.constant(self.beta_2),
            "epsilon": self.epsilon * tf.sqrt(1.0 - power_2),
        }
        self._shares: dict[tuple[int, float], tf.Tensor] = {}

    def _resource_apply_dense(self, grad: tf.Tensor, var: tf.Variable) -> tf.Operation:
        rate = self._rate_of(var)
        decayed, share = [], self._share_of(var, rate)
        if share is not None:
            # Not before the gradient is there: whatever it is computed from has to read the variable as it was.
            with tf.control_dependencies([grad]):
                decayed = [var.assign_sub(tf.cast(share, var.dtype) * var, use_locking=False, read_value=False)]
        with tf.control_dependencies(decayed):
            return tf.raw_ops.ResourceApplyAdam(
                var=var.handle,
                m=self.get_slot(var, "m").handle,
                v=self.get_slot(var, "v").handle,
                lr=tf.cast(rate, var.dtype),
                grad=grad,
                **{name: tf.cast(number, var.dtype) for name, number in self._numbers.items()},
            )

    def _share_of(self, variable: tf.Variable, rate: tf.Tensor) -> tf.Tensor | None:
        """The share of a variable that weight decay takes off, once for all variables that have it in common."""
        decay = self._decay_of(variable)
        if not decay:
            return None
        key = id(rate), decay
        if key not in self._shares:
            self._shares[key] = rate * decay
        return self._shares[key]

    def _resource_apply_sparse_duplicate_indices(
        self, grad: tf.Tensor, handle: tf.Variable, indices: tf.Tensor
    ) -> tf.Operation:
        # Every row moves each step, by its decaying mean and by weight decay: a sparse update would be another method.
        dense = tf.math.unsorted_segment_sum(grad, indices, tf.shape(handle, out_type=indices.dtype)[0])
        return self._resource_apply_dense(tf.ensure_shape(dense, handle.shape), handle)

    def _resource_apply_sparse(self, grad: tf.Tensor, handle: tf.Variable, indices: tf.Tensor) -> tf.Operation:
        return self._resource_apply_sparse_duplicate_indices(grad, handle, indices)

    def _apply_dense(self, grad: tf.Tensor, var: tf.Variable) -> tf.Operation:
        rate = tf.cast(self._rate_of(var), var.dtype.base_dtype)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        next_m = m.assign(self.beta_1 * m + (1.0 - self.beta_1) * grad)
        next_v = v.assign(self.beta_2 * v + (1.0 - self.beta_2) * tf.square(grad))
        power_1, power_2 = self._powers or (0.0, 0.0)
        update = next_m / (1.0 - power_1) / (tf.sqrt(next_v / (1.0 - power_2)) + self.epsilon)
        decay = self._decay_of(var)
        if decay:
            update += decay * var
        return var.assign_sub(rate * update).op

    def _apply_sparse_duplicate_indices(self, grad: tf.IndexedSlices, var: tf.Variable) -> tf.Operation:
        rows = var.shape[0]
        return self._apply_dense(tf.math.unsorted_segment_sum(grad.values, grad.indices, rows), var)

    def _apply_sparse(self, grad: tf.IndexedSlices, var: tf.Variable) -> tf.Operation:
        return self._apply_sparse_duplicate_indices(grad, var)

    def _rate_of(self, variable: tf.Variable) -> tf.Tensor:
        own = None if self._table is None else self._table.of(_name_of(variable)).learning_rate
        return self._rate if own is None else self._rates[own]

    def _decay_of(self, variable: tf.Variable) -> float:
        name = _name_of(variable)
        if self._table is not None:
            return self._table.of(name).weight_decay
        return self.weight_decay_rate if self._do_use_weight_decay(name) else 0.0

    def _do_use_weight_decay(self, param_name: str) -> bool:
        if not self.weight_decay_rate:
            return False
        return not any(re.search(pattern, param_name) for pattern in self.exclude_from_weight_decay)


def _name_of(variable: tf.Variable) -> str:
    return re.sub(r":\d+$", "", variable.name)
