"""A tag for each word: scores from the first token of each word, and what is trained on them."""

import abc
from collections.abc import Mapping, Sequence
from typing import final

import tensorflow as tf

from modeling.encoder.layers import create_initializer, dropout
from modeling.encoder.model import BertModel
from modeling.heads import crf
from modeling.heads.base import Features, Head, Metrics, real_rows
from modeling.heads.soft_losses import TEACHER_SCORES, softmax_divergence
from modeling.parameter_groups import ParameterGroup

TAG_VARIABLES = ("cls/tags/output_weights", "cls/tags/output_bias")
_LABEL_AXES = dict.fromkeys(TAG_VARIABLES, (0,))


class _TagHead(Head):
    """What the heads over L tags have in common.

    `word_starts` int32 `[B, W]` is the position of the first token of each word, 0 where a row has fewer words;
    `label_ids` int32 `[B, W]` is the tag of each word. The variables are `cls/tags/output_weights` `[L, H]` and
    `cls/tags/output_bias` `[L]`.
    """

    further_inputs = ("word_starts",)
    replaceable: tuple[str, ...] = TAG_VARIABLES
    label_axes: Mapping[str, tuple[int, ...]] = _LABEL_AXES

    def __init__(self, num_tags: int) -> None:
        self.num_tags = num_tags

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of each tag for each token `[B, S, L]`."""
        del features
        hidden = encoder.get_sequence_output()  # [B, S, H]
        weights_name, bias_name = TAG_VARIABLES
        weights = tf.compat.v1.get_variable(
            weights_name, [self.num_tags, hidden.shape[-1]], initializer=create_initializer(0.02)
        )
        bias = tf.compat.v1.get_variable(bias_name, [self.num_tags], initializer=tf.compat.v1.zeros_initializer())
        hidden = dropout(hidden, encoder.classifier_dropout if is_training else 0.0)
        return tf.nn.bias_add(tf.einsum("bsh,lh->bsl", hidden, weights), bias)

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss of a word in the batch, and that of a word in each row `[B]`; each counts the words it has."""
        losses, counts = self._losses(logits, features)
        losses *= real_rows(features, losses)
        mean = tf.math.divide_no_nan(tf.reduce_sum(losses), self.loss_weights(features)["loss"])
        return mean, tf.math.divide_no_nan(losses, counts)

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """How many words (or tokens with a label) the real rows have."""
        counts = self._counts(features)
        return {"loss": tf.reduce_sum(counts * real_rows(features, counts))}

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_loss`, the mean over words: the tags themselves are scored on the host, whole sentences at a time."""
        del logits
        weights = self._counts(features) * real_rows(features, per_example_loss)
        return {"eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights)}

    @abc.abstractmethod
    def _losses(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Sum of the losses of a row, and how many words it is over; float32 `[B]` each."""

    def _counts(self, features: Features) -> tf.Tensor:
        return tf.reduce_sum(word_mask(features), axis=1)


@final
class WordTagHead(_TagHead):
    """Softmax over the tags of each word on its own.

    Args:
      num_tags: number of tags L.
      label_all_tokens: train on `token_label_ids` int32 `[B, S]`, -1 where a token has none, in place of `label_ids`.

    Source: `BertForTokenClassification` of Hugging Face.
    """

    def __init__(self, num_tags: int, label_all_tokens: bool = False) -> None:
        super().__init__(num_tags)
        self.label_all_tokens = label_all_tokens

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """Mean over the words of a row of the divergence of the distributions over tags."""
        mask = word_mask(features)
        taught = features[TEACHER_SCORES][:, : tf.shape(mask)[1]]
        losses = softmax_divergence(word_scores(logits, features), taught, temperature) * mask
        return tf.math.divide_no_nan(tf.reduce_sum(losses, axis=1), tf.reduce_sum(mask, axis=1))

    def soft_weights(self, features: Features) -> tf.Tensor:
        """How many words a row has."""
        return tf.reduce_sum(word_mask(features), axis=1)

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`scores` of each tag for each word `[B, W, L]`."""
        return {"scores": word_scores(logits, features)}

    def _losses(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        if self.label_all_tokens:
            labels, weights = features["token_label_ids"], self._token_weights(features)
        else:
            logits, labels, weights = word_scores(logits, features), features["label_ids"], word_mask(features)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.maximum(labels, 0), logits=logits)
        return tf.reduce_sum(losses * weights, axis=1), tf.reduce_sum(weights, axis=1)

    def _counts(self, features: Features) -> tf.Tensor:
        if self.label_all_tokens:
            return tf.reduce_sum(self._token_weights(features), axis=1)
        return super()._counts(features)

    @staticmethod
    def _token_weights(features: Features) -> tf.Tensor:
        # A row that fills up a batch has labels like any other, but no token.
        has_label = tf.cast(features["token_label_ids"] >= 0, tf.float32)
        return has_label * tf.cast(features["input_mask"], tf.float32)


@final
class CrfHead(_TagHead):
    """A linear-chain conditional random field over the words of a row; see `modeling.heads.crf`.

    Args:
      num_tags: number of tags L.
      allowed: which tag may follow which in predictions, as for `crf.constrained`; None for any. Training is free.
      crf_learning_rate: peak rate of the scores between tags; None for that of the head.
    """

    row_constants = ("transitions",)
    replaceable = (*TAG_VARIABLES, *crf.VARIABLES)
    label_axes = _LABEL_AXES | crf.LABEL_AXES

    def __init__(
        self, num_tags: int, allowed: Sequence[Sequence[bool]] | None = None, crf_learning_rate: float | None = None
    ) -> None:
        super().__init__(num_tags)
        if crf_learning_rate is not None:
            self.parameter_groups = (ParameterGroup("CRF", "^crf/", learning_rate=crf_learning_rate),)
        self.allowed = None if allowed is None else [list(row) for row in allowed]

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of each tag for each token `[B, S, L]`; the scores between tags are variables besides."""
        self._transitions()  # with the others, so that first weights are looked for
        return super().logits(encoder, features, is_training)

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`scores` of each tag for each word `[B, W, L]`; `transitions` `[B, L + 2, L]`, the same for every row: the
        scores between tags, then of a start and of an end with each.
        """
        transitions = self._transitions()
        if self.allowed is not None:
            transitions = crf.constrained(transitions, self.allowed)
        edges = tf.stack([transitions.start, transitions.end])
        table = tf.concat([transitions.between, edges], axis=0)  # [L + 2, L]
        rows = tf.shape(logits)[0]
        return {"scores": word_scores(logits, features), "transitions": tf.tile(table[tf.newaxis], [rows, 1, 1])}

    def _losses(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        counts = self._counts(features)
        likelihood = crf.log_likelihood(
            word_scores(logits, features), features["label_ids"], tf.cast(counts, tf.int32), self._transitions()
        )
        return -likelihood, counts

    def _transitions(self) -> crf.Transitions:
        with tf.compat.v1.variable_scope(tf.compat.v1.get_variable_scope(), reuse=tf.compat.v1.AUTO_REUSE):
            return crf.transition_variables(self.num_tags)


def word_mask(features: Features) -> tf.Tensor:
    """1.0 for a word and 0.0 for what fills up a row, float32 `[B, W]`: the first token of no word is `[CLS]`."""
    return tf.cast(features["word_starts"] > 0, tf.float32)


def word_scores(logits: tf.Tensor, features: Features) -> tf.Tensor:
    """Those of the scores `[B, S, L]` that are of the first token of each word, float32 `[B, W, L]`."""
    return tf.gather(tf.cast(logits, tf.float32), features["word_starts"], axis=1, batch_dims=1)
