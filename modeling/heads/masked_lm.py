"""The heads of pretraining: predict masked tokens, and tell whether a text goes on.

P is the number of masked positions in a row, V the size of the vocabulary.
"""

from collections.abc import Callable
from typing import final

import tensorflow as tf

from modeling.config import BertConfig
from modeling.encoder.layers import create_initializer, dense, get_activation, layer_norm
from modeling.encoder.model import BertModel
from modeling.encoder.shapes import get_shape_list
from modeling.heads.base import Features, Head, Metrics, weighted_mean

MASKED_LM, NEXT_SENTENCE = "masked_lm", "next_sentence"
"""Keys of the logits: float32 `[B, P, V]` and `[B, 2]`, or `[B, P, 2]` where several instances share a row."""
UPSTREAM_EPSILON = 1e-5
"""Added to the number of masked tokens, which avoids 0/0 in a batch without masked tokens."""

Logits = dict[str, tf.Tensor]
Compare = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@final
class PretrainingHead(Head):
    """Masked-language model, with next-sentence prediction or alone.

    `features` holds, besides the encoder's inputs, `masked_lm_positions` and `masked_lm_ids` int32 `[B, P]`,
    `masked_lm_weights` float32 `[B, P]` (0 for padding), and with pairs `next_sentence_labels` int32 `[B]` or `[B, 1]`
    (0: the text goes on). Rows whose `input_mask` is all zero fill up a batch and count nowhere.

    Where several instances share a row (`processors.pretraining.packing`), `next_sentence_positions` int32 `[B, P]` say
    where each begins, `next_sentence_labels` are `[B, P]`, and `next_sentence_weights` float32 `[B, P]` (0 for padding)
    say which count. Losses and metrics are those of the same instances in rows of their own.

    Args:
      config: the encoder's.
      next_sentence: predict next sentences, too; default True.
      top_k: tokens that `predictions` gives for each position; default 5.

    Source: arXiv:1810.04805, section 3.1; `run_pretraining.py` of google-research/bert, whose variable names, losses
    and metrics these are.
    """

    uses_sequence_output = True
    further_inputs = ("masked_lm_positions",)

    def __init__(self, config: BertConfig, next_sentence: bool = True, top_k: int = 5) -> None:
        self.config = config
        self.next_sentence = next_sentence
        self.top_k = min(top_k, config.vocab_size)

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> Logits:
        """Scores of every token at the masked positions, and of "goes on" and "does not"."""
        del is_training  # upstream's heads have no dropout of their own
        scores = {MASKED_LM: masked_lm_logits(encoder, features["masked_lm_positions"], self.config)}
        if self.next_sentence:
            scores[NEXT_SENTENCE] = self._next_sentence_scores(encoder, features)
        return scores

    def _next_sentence_scores(self, encoder: BertModel, features: Features) -> tf.Tensor:
        positions = features.get("next_sentence_positions")
        if positions is None:
            return next_sentence_logits(encoder.get_pooled_output(), self.config)  # [B, 2]
        pooled = encoder.pool(gather_indexes(encoder.get_sequence_output(), positions))  # [B * P, H]
        scores = next_sentence_logits(pooled, self.config)
        return tf.reshape(scores, [*get_shape_list(positions, expected_rank=2), 2])

    def loss(self, logits: Logits, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Sum of both mean losses, and the same of each row `[B]`.

        The masked tokens of the batch are averaged as one, those of a row for the loss of the row.
        """
        parts = self.loss_parts(logits, features)
        for name, part in parts.items():
            tf.identity(part, f"progress/{name}")
        by_row = _upstream_mean(*masked_lm_losses(logits[MASKED_LM], features), axis=-1)
        if self.next_sentence:
            by_row += _mean_of_row(*next_sentence_losses(logits[NEXT_SENTENCE], features))
        return tf.add_n(list(parts.values())), by_row

    def loss_parts(self, logits: Logits, features: Features) -> dict[str, tf.Tensor]:
        """`masked_lm_loss`, and `next_sentence_loss` where sentences are predicted."""
        parts = {f"{MASKED_LM}_loss": _upstream_mean(*masked_lm_losses(logits[MASKED_LM], features), axis=None)}
        if self.next_sentence:
            parts[f"{NEXT_SENTENCE}_loss"] = weighted_mean(*next_sentence_losses(logits[NEXT_SENTENCE], features))
        return parts

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """Number of masked tokens, and of instances with any text."""
        guesses = features.get("masked_lm_weights")
        if guesses is None:
            guesses = tf.ones_like(features["masked_lm_ids"], tf.float32)
        weights = {f"{MASKED_LM}_loss": tf.reduce_sum(guesses) + UPSTREAM_EPSILON}
        if self.next_sentence:
            weights[f"{NEXT_SENTENCE}_loss"] = tf.reduce_sum(_instances_with_text(features))
        return weights

    def predictions(self, logits: Logits, features: Features) -> dict[str, tf.Tensor]:
        """The likeliest tokens of every masked position.

        Returns:
          `top_ids` int32 and `top_probabilities` float32 `[B, P, K]`, likeliest first; `next_sentence_probabilities`
          float32, shaped like their logits; and where `masked_lm_ids` are known their log probabilities,
          `masked_lm_log_probabilities` float32 `[B, P]`.
        """
        log_probabilities = tf.nn.log_softmax(logits[MASKED_LM])
        best, ids = tf.nn.top_k(log_probabilities, self.top_k)
        found = {"top_ids": ids, "top_probabilities": tf.exp(best)}
        if "masked_lm_ids" in features:
            found["masked_lm_log_probabilities"] = -masked_lm_losses(logits[MASKED_LM], features)[0]
        if self.next_sentence:
            found["next_sentence_probabilities"] = tf.nn.softmax(logits[NEXT_SENTENCE])
        return found

    def metrics(self, logits: Logits, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """Upstream's `masked_lm_accuracy`, `masked_lm_loss`, `next_sentence_accuracy`, `next_sentence_loss`."""
        del per_example_loss
        losses, weights = masked_lm_losses(logits[MASKED_LM], features)
        guessed = tf.argmax(logits[MASKED_LM], axis=-1, output_type=tf.int32)
        found = _accuracy_and_loss(MASKED_LM, features["masked_lm_ids"], guessed, losses, weights)
        if self.next_sentence:
            losses, weights = next_sentence_losses(logits[NEXT_SENTENCE], features)
            guessed = tf.argmax(logits[NEXT_SENTENCE], axis=-1, output_type=tf.int32)
            labels = _next_sentence_labels(features)
            found |= _accuracy_and_loss(NEXT_SENTENCE, labels, guessed, losses, weights)
        return found


def gather_indexes(sequence_tensor: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Vectors at given positions of each row.

    Args:
      sequence_tensor: float32 `[B, S, H]`.
      positions: int32 `[B, P]`.

    Returns:
      float32 `[B * P, H]`.
    """
    batch_size, seq_length, width = get_shape_list(sequence_tensor, expected_rank=3)
    offsets = tf.range(batch_size)[:, tf.newaxis] * seq_length  # [B, 1]
    return tf.gather(tf.reshape(sequence_tensor, [-1, width]), tf.reshape(positions + offsets, [-1]))


def masked_lm_logits(encoder: BertModel, positions: tf.Tensor, config: BertConfig) -> tf.Tensor:
    """Scores of every token at some positions, by comparison with the encoder's own word vectors.

    Args:
      encoder: gives the sequence output and the embedding table `[V, H]`.
      positions: int32 `[B, P]`.
      config: activation, width and initializer range.

    Returns:
      float32 `[B, P, V]`.
    """
    rows = gather_indexes(encoder.get_sequence_output(), positions)  # [B * P, H]
    scores = token_scores(rows, encoder.get_embedding_table(), config)
    return tf.reshape(scores, [*get_shape_list(positions, expected_rank=2), config.vocab_size])


def compared(rows: tf.Tensor, embedding_table: tf.Tensor) -> tf.Tensor:
    """Products of rows `[N, H]` with each word vector of a table `[V, H]`: `[N, V]`."""
    return tf.matmul(rows, embedding_table, transpose_b=True)


def few_compared(rows: tf.Tensor, embedding_table: tf.Tensor) -> tf.Tensor:
    """As `compared`, in 0.6 of the time for 4 to 32 rows and Eigen's product, which does not rearrange the table."""
    return tf.transpose(tf.matmul(embedding_table, rows, transpose_b=True))


def token_scores(rows: tf.Tensor, words: tf.Tensor, config: BertConfig, compare: Compare = compared) -> tf.Tensor:
    """Scores of every token, by comparison of rows with word vectors.

    Args:
      rows: float32 `[N, H]`.
      words: the embedding table `[V, H]`, or as narrow as the embeddings are; or in another form that `compare` reads.
      config: activation, width and initializer range.
      compare: gives `[N, V]` for rows, transformed, and `words`.

    Returns:
      float32 `[N, V]`.
    """
    with tf.compat.v1.variable_scope("cls/predictions"):
        with tf.compat.v1.variable_scope("transform"):
            activation = get_activation(config.hidden_act)
            rows = dense(rows, config.embedding_width, "dense", activation, config.initializer_range)
            rows = layer_norm(rows, epsilon=config.layer_norm_eps)
        bias = tf.compat.v1.get_variable(
            "output_bias", [config.vocab_size], initializer=tf.compat.v1.zeros_initializer()
        )
        return tf.nn.bias_add(compare(rows, words), bias)


def next_sentence_logits(pooled_output: tf.Tensor, config: BertConfig) -> tf.Tensor:
    """Scores of "goes on" and "does not".

    Args:
      pooled_output: float32 `[B, H]`.
      config: width and initializer range.

    Returns:
      float32 `[B, 2]`.
    """
    with tf.compat.v1.variable_scope("cls/seq_relationship"):
        weights = tf.compat.v1.get_variable(
            "output_weights", [2, config.hidden_size], initializer=create_initializer(config.initializer_range)
        )
        bias = tf.compat.v1.get_variable("output_bias", [2], initializer=tf.compat.v1.zeros_initializer())
        return tf.nn.bias_add(tf.matmul(pooled_output, weights, transpose_b=True), bias)


def masked_lm_losses(scores: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy at every masked position, padding included, and its weight; both float32 `[B, P]`.

    Args:
      scores: float32 `[B, P, V]`.
      features: `masked_lm_ids`; weights are `masked_lm_weights`, ones without them.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=features["masked_lm_ids"], logits=scores)
    return losses, features.get("masked_lm_weights", tf.ones_like(losses))


def next_sentence_losses(scores: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy of every instance, and 1.0 for those with any text; both float32 `[B]`, or `[B, P]` in shared rows.

    Args:
      scores: float32 `[B, 2]` or `[B, P, 2]`.
      features: `next_sentence_labels`, and `input_mask` or `next_sentence_weights`.
    """
    labels = _next_sentence_labels(features)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)
    return losses, _instances_with_text(features)


def _next_sentence_labels(features: Features) -> tf.Tensor:
    labels = features["next_sentence_labels"]
    return labels if "next_sentence_weights" in features else tf.reshape(labels, [-1])


def _instances_with_text(features: Features) -> tf.Tensor:
    if "next_sentence_weights" in features:
        return features["next_sentence_weights"]
    return tf.cast(tf.reduce_max(features["input_mask"], axis=-1), tf.float32)


def _mean_of_row(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Losses `[B]` as they are, and of losses `[B, P]` the mean of each row."""
    if losses.shape.rank == 1:
        return losses
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weights, -1), tf.reduce_sum(weights, -1))


def _upstream_mean(values: tf.Tensor, weights: tf.Tensor, axis: int | None) -> tf.Tensor:
    return tf.reduce_sum(values * weights, axis) / (tf.reduce_sum(weights, axis) + UPSTREAM_EPSILON)


def _accuracy_and_loss(
    name: str, labels: tf.Tensor, guessed: tf.Tensor, losses: tf.Tensor, weights: tf.Tensor
) -> Metrics:
    return {
        f"{name}_accuracy": tf.compat.v1.metrics.accuracy(labels, guessed, weights),
        f"{name}_loss": tf.compat.v1.metrics.mean(losses, weights),
    }
