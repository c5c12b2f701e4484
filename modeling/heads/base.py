"""The contracts of what sits on the encoder: a reader, and a head that can be trained."""

import abc
from collections.abc import Callable, Collection, Mapping
from typing import final

import tensorflow as tf

from common.errors import FlagError
from modeling.encoder.model import BertModel
from modeling.parameter_groups import ParameterGroup

Features = dict[str, tf.Tensor]
Metrics = dict[str, tuple[tf.Tensor, tf.Tensor]]
Encode = Callable[[Features], BertModel]
"""Builds the encoder over a batch of sequences `[N, S]`; its variables are those of the current scope."""


class Reader(abc.ABC):
    """What is read off the encoder for each row: scores or vectors."""

    # Whether `logits` reads the sequence output; where it does not, the encoder can be built with `pooled_only`.
    uses_sequence_output: bool = True
    # Whether it reads or uses each layer of the encoder, so that its graph needs all of them.
    uses_every_layer: bool = False
    # Integer sequences `[B, n]` that `logits` and `predictions` read besides the encoder's inputs.
    further_inputs: tuple[str, ...] = ()
    # Names of variables whose shape follows the labels: they start anew where a checkpoint has them in another shape.
    replaceable: tuple[str, ...] = ()
    # Of these, the axes along which a variable's values belong to the labels: a checkpoint with the same labels in
    # another order is matched by name.
    label_axes: Mapping[str, tuple[int, ...]] = {}
    # The class of Hugging Face, without the family, whose head has the same variables and computes the same; None where
    # there is none. It holds for the class that states it, not for those derived from it.
    hugging_face_class: str | None = None
    # Variables that are trained otherwise than the rest; `--freeze` comes before them, `--head_learning_rate` after.
    parameter_groups: tuple[ParameterGroup, ...] = ()
    # Predictions that are the same for every row; an evaluation keeps them once, as a row of their own.
    row_constants: tuple[str, ...] = ()

    def starts(self, names: Collection[str]) -> Mapping[str, str]:
        """Of variables that a checkpoint may lack, the variable whose value they start from instead; none by default.

        Args:
          names: of all variables.
        """
        del names
        return {}

    @abc.abstractmethod
    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Raw output of a batch; creates the reader's variables, if it has any."""

    def read(self, encode: Encode, features: Features, is_training: bool) -> tf.Tensor:
        """Raw output of a batch: `logits` of what the encoder makes of its rows, by default a sequence each.

        A reader whose rows hold several sequences cuts them here, and puts together what it reads off them.

        Args:
          encode: the encoder.
          features: a batch.
          is_training: whether values are dropped.
        """
        return self.logits(encode(features), features, is_training)

    @abc.abstractmethod
    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """What prediction returns, by name, a row for each example."""


class Head(Reader):
    """One kind of task on top of the encoder: a reader that can be trained and evaluated.

    `features` holds `input_ids`, `input_mask`, `segment_ids` int32 `[B, S]`, `label_ids` as the head says, and
    `is_real_example` int32 `[B]`: rows with 0 fill up a batch and count nowhere. Without it all rows are real.
    """

    @abc.abstractmethod
    def loss(self, logits: tf.Tensor, features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Scalar mean loss of the real rows, and the loss of each row `[B]`."""

    @abc.abstractmethod
    def metrics(self, logits: tf.Tensor, features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """Streaming evaluation metrics by name: value and update op, under upstream's names."""

    def loss_parts(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """The means, by name, whose sum is the loss; one of them by default."""
        return {"loss": self.loss(logits, features)[0]}

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """What each mean of `loss_parts` is divided by, which is known without the logits; real rows by default."""
        return {"loss": tf.reduce_sum(real_rows(features, tf.cast(features["input_ids"][:, 0], tf.float32)))}

    def soft_losses(self, logits: tf.Tensor, features: Features, temperature: float) -> tf.Tensor:
        """How far each row's scores are from a teacher's, float32 `[B]`; a head that can be distilled says it.

        Args:
          logits: of the head.
          features: with `teacher_scores`, float32 `[B, C]`, or `[B, n, C]` of n places in a row.
          temperature: T, which both models' scores are divided by; the loss is multiplied by its square.

        Raises:
          FlagError: the head has no such loss.
        """
        raise FlagError(f"--teacher: {type(self).__name__} has no loss against a teacher's scores; leave it out")

    def soft_weights(self, features: Features) -> tf.Tensor:
        """How much each row counts in the mean of `soft_losses`, float32 `[B]`; rows alike by default."""
        return tf.ones_like(tf.cast(features["input_ids"][:, 0], tf.float32))

    @final
    def loss_shares(
        self, logits: tf.Tensor, features: Features, whole_weights: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """What some rows of a batch contribute to its `loss_parts`: over all rows it adds up to those of the batch.

        Args:
          logits: scores of these rows.
          features: of the same rows.
          whole_weights: `loss_weights` of the whole batch.
        """
        weights = self.loss_weights(features)
        parts = self.loss_parts(logits, features)
        return {name: parts[name] * tf.math.divide_no_nan(weights[name], whole_weights[name]) for name in parts}


def real_rows(features: Features, losses: tf.Tensor) -> tf.Tensor:
    """Weight 1.0 for a real row and 0.0 for one that fills up the batch: float32 `[B]`."""
    if "is_real_example" not in features:
        return tf.ones_like(losses)
    return tf.cast(features["is_real_example"], tf.float32)


def weighted_mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum of weighted values over the sum of weights; zero where all weights are."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))
