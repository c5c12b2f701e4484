"""The weights that a run begins with: read into its graph, or compared with its model before there is one."""

import copy

import tensorflow as tf

from common.errors import CheckpointError
from modeling.checkpoints.restore import RestoreReport, Shapes, compare_with_checkpoint, initialize_from_checkpoint
from modeling.config import BertConfig
from modeling.encoder.model import BertModel

CLASSIFIER_VARIABLES = ("output_weights", "output_bias")


def load_weights(init_checkpoint: str) -> RestoreReport:
    """Lets the graph's variables start from a checkpoint that has the whole encoder.

    A classifier's own weights start anew where the checkpoint was trained with another number of labels.

    Raises:
      CheckpointError: it cannot be read, or does not fit the model configuration.
    """
    variables = tf.compat.v1.trainable_variables()
    return _whole(initialize_from_checkpoint(variables, init_checkpoint, CLASSIFIER_VARIABLES))


def check_weights(config: BertConfig, init_checkpoint: str) -> None:
    """Reads a checkpoint that is to be loaded later, and compares it with the encoder.

    Raises:
      CheckpointError: as for `load_weights`.
    """
    _whole(compare_with_checkpoint(_encoder_shapes(config), init_checkpoint))


def _encoder_shapes(config: BertConfig) -> Shapes:
    """Shapes of the encoder's variables. Its layers are alike: one is built, which takes a fraction of the time."""
    first = copy.deepcopy(config)
    first.num_hidden_layers = 1
    with tf.Graph().as_default():
        ids = tf.compat.v1.placeholder(tf.int32, [None, None])
        BertModel(first, is_training=False, input_ids=ids, scope="bert")
        built = {one.op.name: tuple(one.shape.as_list()) for one in tf.compat.v1.trainable_variables()}
    return {
        name.replace("/layer_0/", f"/layer_{layer}/"): shape
        for layer in range(config.num_hidden_layers)
        for name, shape in built.items()
    }


def _whole(report: RestoreReport) -> RestoreReport:
    # The pooler is no part of every published encoder.
    missing = [name for name in report.new if name.startswith("bert/") and not name.startswith("bert/pooler/")]
    surplus = [name for name in report.unused if name.startswith("bert/encoder/layer_")]
    for names, verb in ((missing, "lacks"), (surplus, "has")):
        if names:
            other = "has" if verb == "lacks" else "lacks"
            raise CheckpointError(
                f"{report.source}: {verb} {names[0]} and {len(names) - 1} more that the model configuration {other}; "
                "num_hidden_layers must be that of the checkpoint; use the configuration that came with it"
            )
    return report
