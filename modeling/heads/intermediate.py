"""What a student learns of the inside of a teacher: hidden states and attention scores, computed in the same graph."""

from collections.abc import Callable
from typing import Any, final

import tensorflow as tf

from modeling.encoder.attention import scaled
from modeling.encoder.layers import dense
from modeling.encoder.model import BertModel
from modeling.heads.base import Encode, Features, Head
from modeling.heads.wrapped import WrappedHead
from modeling.inside import Inside

HIDDEN, ATTENTION = "hidden_loss", "attention_loss"
SCOPE = "teacher"
PROJECTION = "distillation/projection"
"""Trained with the student, from its width to the teacher's; nothing reads it later."""


@final
class IntermediateHead(WrappedHead):
    """Another head, whose student learns the inside of its teacher as well.

    `hidden_loss` is the mean squared distance of the outputs of layers (and of the embeddings) over tokens, values and
    layers, the student's through a learned matrix where the teacher is wider; `attention_loss` that of the scores of
    attention before the softmax, over heads, pairs of tokens and layers. Both have a weight, and are added to the loss.

    Args:
      head: of the student.
      inside: the teacher's encoder, which has the student's tokens.

    Source: TinyBERT, arXiv:1909.10351.
    Differences: means over layers in place of sums; equal widths are compared as they are; padding counts nowhere.
    """

    def __init__(self, head: Head, inside: Inside) -> None:
        super().__init__(head)
        self.uses_sequence_output = True  # or the last layer would be computed for first tokens alone
        self._inside = inside
        self._losses: dict[Any, dict[str, tf.Tensor]] = {}

    def read(self, encode: Encode, features: Features, is_training: bool) -> tf.Tensor:
        """Scores of the head; the losses inside are kept for them."""
        encoders: list[BertModel] = []

        def watched(rows: Features) -> BertModel:
            encoders.append(encode(rows))
            return encoders[-1]

        logits = self._head.read(watched, features, is_training)
        (student,) = encoders
        teacher = self._teacher(features)
        self._losses[logits.ref()] = {
            HIDDEN: self._hidden(student, teacher),
            ATTENTION: self._attention(student, teacher, features["input_mask"]),
        }
        return logits

    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss of the head and those inside; that of each row is the head's."""
        return tf.add_n(list(self.loss_parts(logits, features).values())), self._head.loss(logits, features)[1]

    def loss_parts(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """The head's, `hidden_loss` and `attention_loss`."""
        weights = {HIDDEN: self._inside.hidden, ATTENTION: self._inside.attention}
        inside = {name: weights[name] * loss for name, loss in self._losses[logits.ref()].items() if weights[name]}
        return self._head.loss_parts(logits, features) | inside

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """The head's, and how many tokens and pairs of tokens there are."""
        lengths = tf.reduce_sum(tf.cast(features["input_mask"], tf.float32), axis=1)
        counts = {HIDDEN: tf.reduce_sum(lengths), ATTENTION: tf.reduce_sum(lengths * lengths)}
        wanted = {HIDDEN: self._inside.hidden, ATTENTION: self._inside.attention}
        return self._head.loss_weights(features) | {name: counts[name] for name in counts if wanted[name]}

    def _teacher(self, features: Features) -> BertModel:
        """The teacher's encoder, whose variables are neither trained nor saved."""
        with tf.compat.v1.variable_scope(SCOPE, custom_getter=_fixed):
            teacher = BertModel(
                self._inside.config,
                is_training=False,
                input_ids=features["input_ids"],
                input_mask=features["input_mask"],
                token_type_ids=features["segment_ids"],
                scope="bert",
                packed=True,
            )
        own = tf.compat.v1.local_variables(f"{SCOPE}/bert/")
        names = {variable.op.name.removeprefix(f"{SCOPE}/"): variable for variable in own}
        tf.compat.v1.train.init_from_checkpoint(self._inside.checkpoint, names)
        return teacher

    def _hidden(self, student: BertModel, teacher: BertModel) -> tf.Tensor:
        if not self._inside.hidden:
            return tf.zeros([])
        wanted = [teacher.layer_rows[0], *(teacher.layer_rows[layer + 1] for layer in self._inside.layers)]
        width = int(wanted[0].shape[-1])
        losses = [
            tf.reduce_mean(tf.math.squared_difference(_as_wide(found, width), tf.stop_gradient(given)))
            for found, given in zip(student.layer_rows, wanted, strict=True)
        ]
        return tf.add_n(losses) / len(losses)

    def _attention(self, student: BertModel, teacher: BertModel, mask: tf.Tensor) -> tf.Tensor:
        if not self._inside.attention:
            return tf.zeros([])
        real = tf.cast(mask, tf.float32)
        pairs = (real[:, :, tf.newaxis] * real[:, tf.newaxis])[:, tf.newaxis]  # [B, 1, S, S]
        losses = []
        for index, layer in enumerate(self._inside.layers):
            found, given = _scores(student, index), tf.stop_gradient(_scores(teacher, layer))
            distances = tf.reduce_sum(tf.math.squared_difference(found, given) * pairs)
            losses.append(distances / (tf.reduce_sum(pairs) * found.shape[1]))
        return tf.add_n(losses) / len(losses)


def _scores(encoder: BertModel, index: int) -> tf.Tensor:
    """Scores of attention of a layer before the softmax, float32 `[B, A, S, S]`, with its weights."""
    settings, rows = encoder.layer_settings, encoder.layer_rows[index]
    heads = settings.num_attention_heads
    scope = tf.compat.v1.variable_scope
    with encoder.layer_scope(index), scope("attention"), scope("self"):
        query = scaled(dense(rows, rows.shape[-1], "query"), heads)
        key = dense(rows, rows.shape[-1], "key")
    query, key = (encoder.layout.split_heads(values, heads) for values in (query, key))
    return tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)


def _as_wide(rows: tf.Tensor, width: int) -> tf.Tensor:
    """Rows of the student, float32 `[N, width]`: as they are, or through one matrix for all layers."""
    rows = tf.cast(rows, tf.float32)
    if rows.shape[-1] == width:
        return rows
    with tf.compat.v1.variable_scope(tf.compat.v1.get_variable_scope(), reuse=tf.compat.v1.AUTO_REUSE):
        return dense(rows, width, PROJECTION)


def _fixed(getter: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Makes variables that are neither trained nor saved."""
    options |= {"trainable": False, "collections": [tf.compat.v1.GraphKeys.LOCAL_VARIABLES]}
    return getter(*arguments, **options)
