"""What a TensorFlow Hub module says of its text, in the formats of TensorFlow 1 and 2."""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from common.errors import CheckpointError
from modeling.checkpoints.locate import SAVED_MODEL_FILE
from modeling.checkpoints.restore import casing_of_variables

_SIGNATURE, _OUTPUT = "tokenization_info", "do_lower_case"


def stated_casing(folder: Path) -> bool | None:
    """Whether the module in a folder wants its text lower-cased; None where it does not say.

    Raises:
      CheckpointError: it cannot be read.

    Source: `export_tfhub_lib` of tf-models-official, which keeps it in a variable; `run_classifier_with_tfhub.py` of
    google-research/bert, which reads it from a signature.
    """
    stated = casing_of_variables(str(folder))
    return _of_signature(folder / SAVED_MODEL_FILE) if stated is None else stated


def _of_signature(path: Path) -> bool | None:
    try:
        module = SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError):
        raise CheckpointError(f"{path}: missing, truncated or damaged; copy the module again") from None
    for graph in module.meta_graphs:
        name = graph.signature_def[_SIGNATURE].outputs[_OUTPUT].name.partition(":")[0]
        for node in graph.graph_def.node:
            if node.name == name and node.op == "Const":
                return bool(tf.make_ndarray(node.attr["value"].tensor))
    return None
