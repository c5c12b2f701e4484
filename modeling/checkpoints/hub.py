"""TensorFlow Hub modules, in the formats of TensorFlow 1 and 2: what is one, and what it says of its text."""

import os
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from common.errors import CheckpointError
from modeling.checkpoints.locate import SAVED_MODEL_FILE
from modeling.checkpoints.restore import casing_of_variables

_SIGNATURE, _OUTPUT = "tokenization_info", "do_lower_case"
_ADDRESSES = ("http://", "https://")


def check_module(handle: str | os.PathLike) -> str:
    """The path of a module's folder.

    Args:
      handle: as `hub.Module` takes it; here a folder.

    Raises:
      CheckpointError: it is an address, is not there, or is no module.
    """
    path = os.fspath(handle)
    if path.startswith(_ADDRESSES):
        raise CheckpointError(
            f"{path}: is an address, and modules are read from folders; download it, unpack it, and give the folder"
        )
    if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
        raise CheckpointError(f"{path}: is a file, expected the folder of a module; unpack it, and give the folder")
    if not tf.io.gfile.exists(os.path.join(path, SAVED_MODEL_FILE)):  # noqa: PTH118 - keeps gs:// whole
        there = "is no module" if tf.io.gfile.isdir(path) else "is not there"
        raise CheckpointError(
            f"{path}: {there}, expected a folder with {SAVED_MODEL_FILE}, variables/ and assets/; checkpoints are for "
            "run_classifier.py --init_checkpoint"
        )
    return path


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
