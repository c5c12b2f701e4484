"""LAMB: AdamW with a layer-wise trust ratio, for very large batches."""

import tensorflow as tf

from modeling.training.optimization import AdamWeightDecayOptimizer


class LambOptimizer(AdamWeightDecayOptimizer):
    """Layer-wise adaptive moments with bias correction; its slots are those of `AdamWeightDecayOptimizer`.

    Variables that weight decay leaves out (layer norms and biases) take Adam's step as it is.

    Source: arXiv:1904.00962, algorithm 2, with the norm itself as the scaling function.
    """

    def _prepare(self) -> None:
        super()._prepare()
        update = tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.float32) + 1.0
        self._corrections = (1.0 - tf.pow(self.beta_1, update), 1.0 - tf.pow(self.beta_2, update))

    def _resource_apply_dense(self, grad: tf.Tensor, var: tf.Variable) -> tf.Operation:
        return self._apply_dense(grad, var)

    def _apply_dense(self, grad: tf.Tensor, var: tf.Variable) -> tf.Operation:
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        next_m = m.assign(self.beta_1 * m + (1.0 - self.beta_1) * grad)
        next_v = v.assign(self.beta_2 * v + (1.0 - self.beta_2) * tf.square(grad))
        of_mean, of_square = self._corrections
        step = (next_m / of_mean) / (tf.sqrt(next_v / of_square) + self.epsilon)
        decay = self._decay_of(var)
        if decay:
            step += decay * var
            step *= _trust_ratio(tf.norm(var), tf.norm(step))
        return var.assign_sub(self._rate_of(var) * step).op


def _trust_ratio(weights: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Norm of the weights over that of the step; 1 where either is zero."""
    return tf.where((weights > 0.0) & (step > 0.0), tf.math.divide_no_nan(weights, step), 1.0)
