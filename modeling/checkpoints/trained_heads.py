"""Whether a checkpoint has all that a head computes its answers from, so that it can answer without training."""

import copy
import dataclasses
from collections.abc import Iterable

import tensorflow as tf

from modeling.build import ENCODER_INPUTS, build_encoder
from modeling.checkpoints.added_rows import with_rows
from modeling.checkpoints.restore import checkpoint_variables
from modeling.checkpoints.sources import Shapes
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Reader
from modeling.settings import ModelSettings


def lacking_weights(model: ModelSettings, head: Reader) -> tuple[str, ...]:
    """Variables that predictions depend on, and that `init_checkpoint` lacks or has in another shape.

    Args:
      model: the encoder, with an `init_checkpoint`.
      head: computes the predictions.

    Raises:
      CheckpointError: the checkpoint cannot be read.
    """
    held = with_rows(checkpoint_variables(model.init_checkpoint or ""), model.added_rows)
    # The head is built whatever the checkpoint holds: a mistake in one of a user's is found before anything is written.
    needed = _needed(model, head)
    copies = head.starts(list(needed))
    return tuple(
        name for name, shape in needed.items() if held.get(name) != shape and held.get(copies.get(name, "")) != shape
    )


def _needed(model: ModelSettings, head: Reader) -> Shapes:
    """Shapes of the variables that predictions depend on; of layers that are alike to the head, those of the first."""
    if not head.uses_every_layer and model.reading.is_default and model.insertions is None:
        first = copy.deepcopy(model.bert_config)
        first.num_hidden_layers, first.num_hidden_groups = 1, None
        model = dataclasses.replace(model, bert_config=first)
    with tf.Graph().as_default():
        names = (*ENCODER_INPUTS, *head.further_inputs)
        features = {name: tf.compat.v1.placeholder(tf.int32, [None, None], name) for name in names}

        def encode(rows: Features) -> BertModel:
            return build_encoder(model, head, rows, is_training=False, packed=True)

        logits = head.read(encode, features, is_training=False)
        outputs = tf.nest.flatten([logits, head.predictions(logits, features)])
        used = _ancestors(output.op for output in outputs)
        variables = tf.compat.v1.trainable_variables()
        return {one.op.name: tuple(one.shape.as_list()) for one in variables if one.op.name in used}


def _ancestors(operations: Iterable[tf.Operation]) -> set[str]:
    """Names of all operations that some depend on, themselves included."""
    found: set[str] = set()
    waiting = list(operations)
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found.add(operation.name)
            waiting.extend(tensor.op for tensor in operation.inputs)
    return found
