"""Names of upstream's `run_pretraining.py`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from compat.features import records_input_fn
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling.config import BertConfig
from modeling.encoder.shapes import get_shape_list
from modeling.heads.masked_lm import PretrainingHead, gather_indexes, masked_lm_logits, next_sentence_logits
from modeling.settings import ModelSettings
from processors.pretraining.instance_records import pretraining_spec

__all__ = [
    "gather_indexes", "get_masked_lm_output", "get_next_sentence_output", "input_fn_builder", "model_fn_builder",
]  # fmt: skip

_EPSILON = 1e-5


class _Encoded(NamedTuple):
    """An encoder's output, as the head asks for it."""

    sequence_output: tf.Tensor
    table: tf.Tensor

    def get_sequence_output(self) -> tf.Tensor:
        return self.sequence_output

    def get_embedding_table(self) -> tf.Tensor:
        return self.table


def get_masked_lm_output(
    bert_config: BertConfig,
    input_tensor: tf.Tensor,
    output_weights: tf.Tensor,
    positions: tf.Tensor,
    label_ids: tf.Tensor,
    label_weights: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Loss of the masked tokens, the loss of each [B * P], and log probabilities [B * P, V].

    Args:
      bert_config: activation, width, initializer range.
      input_tensor: float32 [B, S, H].
      output_weights: the embedding table [V, H].
      positions: int32 [B, P].
      label_ids: int32 [B, P].
      label_weights: float32 [B, P], 0 for padding.
    """
    encoded: Any = _Encoded(input_tensor, output_weights)
    scores = tf.reshape(masked_lm_logits(encoded, positions, bert_config), [-1, bert_config.vocab_size])
    log_probabilities = tf.nn.log_softmax(scores, axis=-1)
    labels, weights = tf.reshape(label_ids, [-1]), tf.reshape(tf.cast(label_weights, tf.float32), [-1])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)
    loss = tf.reduce_sum(weights * losses) / (tf.reduce_sum(weights) + _EPSILON)
    return loss, losses, log_probabilities


def get_next_sentence_output(
    bert_config: BertConfig, input_tensor: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Loss of next-sentence prediction, the loss of each row [B], and log probabilities [B, 2].

    Args:
      bert_config: width and initializer range.
      input_tensor: pooled output, float32 [B, H].
      labels: int32 [B] or [B, 1]; 0 for the next sentence, 1 for another.
    """
    scores = next_sentence_logits(input_tensor, bert_config)
    flat = tf.reshape(labels, [get_shape_list(input_tensor, expected_rank=2)[0]])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=flat, logits=scores)
    return tf.reduce_mean(losses), losses, tf.nn.log_softmax(scores, axis=-1)


def input_fn_builder(
    input_files: Sequence[str],
    max_seq_length: int,
    max_predictions_per_seq: int,
    is_training: bool,
    num_cpu_threads: int = 4,
) -> Callable[..., tf.data.Dataset]:
    """An `input_fn` over pretraining records; see `compat.features.records_input_fn`."""
    del num_cpu_threads
    spec = pretraining_spec(max_seq_length, max_predictions_per_seq)
    return records_input_fn(input_files, spec, is_training, drop_remainder=True)


def model_fn_builder(
    bert_config: BertConfig,
    init_checkpoint: str | None,
    learning_rate: float,
    num_train_steps: int,
    num_warmup_steps: int,
    use_tpu: bool,
    use_one_hot_embeddings: bool,
) -> Callable[..., Any]:
    """A `model_fn` of both objectives for an Estimator or TPUEstimator."""
    return build_model_fn(
        ModelSettings(bert_config, init_checkpoint or None, use_one_hot_embeddings),
        PretrainingHead(bert_config),
        Schedule(learning_rate, num_train_steps, num_warmup_steps),
        GraphSettings(packed=False, tpu_estimator=use_tpu, use_tpu=use_tpu),
    )
