"""Multiple choice: a score for each choice of a question, and a softmax over those that are there.

Shapes: B questions, C places for choices, T tokens of all choices of a question, M choices that are there, S tokens of
the longest.

Source: `BertForMultipleChoice` of Hugging Face, after the recipe of google-research/bert for SWAG. There a place
without a choice holds a padded text that takes part in the softmax; here it takes part in nothing.
"""

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.heads.base import Encode, Features, Head, Metrics, real_rows, weighted_mean
from modeling.heads.classification import CLASSIFIER_VARIABLES, pooled_logits

LENGTHS = "choice_lengths"
"""Feature with the tokens of each choice, int32 `[B, C]`; 0 where there is none."""
MISSING = -1e9
"""Score of a place without a choice: its probability is exactly 0."""


class ChoiceHead(Head):
    """One choice of several, whose number differs from row to row; `label_ids` int32 `[B]` is its place.

    `input_ids`, `input_mask` and `segment_ids` `[B, T]` hold the sequences of the choices end to end.
    """

    hugging_face_class = "ForMultipleChoice"
    uses_sequence_output = False
    further_inputs = (LENGTHS,)
    replaceable = CLASSIFIER_VARIABLES

    def read(self, encode: Encode, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of the choices `[B, C]`, `MISSING` where there is none; each choice is a row of the encoder.

        With static shapes, places without a choice are rows of padding; else the encoder does not see them.
        """
        lengths = features[LENGTHS]
        places = None if lengths.shape.is_fully_defined() else _places(lengths)
        scores = self.logits(encode(_sequences(features, places)), features, is_training)[:, 0]
        by_place = (
            tf.reshape(scores, lengths.shape) if places is None else tf.scatter_nd(places, scores, tf.shape(lengths))
        )
        return tf.where(lengths > 0, by_place, MISSING)

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of the rows of the encoder `[M, 1]`."""
        return pooled_logits(encoder.get_pooled_output(), 1, is_training, encoder.classifier_dropout)

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean cross-entropy of the right choices, and that of each question `[B]`."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=features["label_ids"], logits=logits)
        return weighted_mean(losses, real_rows(features, losses)), losses

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`probabilities` and `logits`, each `[B, C]`; probability 0 where there is no choice."""
        there = tf.cast(features[LENGTHS] > 0, tf.float32)
        return {"probabilities": tf.nn.softmax(logits) * there, "logits": logits}

    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_accuracy` and `eval_loss`."""
        weights = real_rows(features, per_example_loss)
        predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {
            "eval_accuracy": tf.compat.v1.metrics.accuracy(features["label_ids"], predicted, weights=weights),
            "eval_loss": tf.compat.v1.metrics.mean(per_example_loss, weights),
        }


def _places(lengths: tf.Tensor) -> tf.Tensor:
    """Row and place of each choice that is there, int32 `[M, 2]`."""
    return tf.cast(tf.where(lengths > 0), tf.int32)


def _sequences(features: Features, places: tf.Tensor | None) -> Features:
    """The encoder's inputs, a row for each choice: `[M, S]`; of static shape `[B * C, S]` where `places` is None."""
    lengths = features[LENGTHS]
    starts = tf.cumsum(lengths, axis=1, exclusive=True)
    width = tf.shape(features["input_ids"])[1]
    if places is None:
        batch, count = lengths.shape
        longest = features["input_ids"].shape[1] // count
        rows = tf.repeat(tf.range(batch), count)
        lengths, starts = tf.reshape(lengths, [-1]), tf.reshape(starts, [-1])
    else:
        rows, lengths, starts = places[:, 0], tf.gather_nd(lengths, places), tf.gather_nd(starts, places)
        longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
    positions = tf.range(longest)[tf.newaxis, :]
    is_token = positions < lengths[:, tf.newaxis]
    found = tf.minimum(starts[:, tf.newaxis] + positions, width - 1) + (rows * width)[:, tf.newaxis]
    cut = {
        name: tf.where(is_token, tf.gather(tf.reshape(features[name], [-1]), found), 0)
        for name in ("input_ids", "segment_ids")
    }
    return {**cut, "input_mask": tf.cast(is_token, tf.int32)}
