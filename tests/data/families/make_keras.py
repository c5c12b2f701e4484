"""Saves the models of this folder as Hugging Face's TensorFlow classes do: `NAME/CLASS/tf_model.h5.gz`.

    python tests/data/families/make_keras.py

It needs transformers 4.57 (the last release line with these classes), tensorflow 2.15, tf-keras and h5py, and nothing
of this project. Each model gets the weights of its model.safetensors, and its outputs are compared with expected.npz.
"""

import gzip
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers
from safetensors.numpy import load_file
from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model

HERE = Path(__file__).resolve().parent


def keras_model(folder: Path):
    model_class = getattr(transformers, f"TF{folder.name}")
    model = model_class(model_class.config_class.from_pretrained(folder))
    model.build_in_name_scope()
    tensors = load_file(folder / "model.safetensors")
    if "predictions.bias" in tensors:  # ALBERT's file has it once, its TensorFlow class twice
        tensors["predictions.decoder.bias"] = tensors["predictions.bias"]
    return load_pytorch_state_dict_in_tf2_model(model, tensors)


def check(model, folder: Path) -> None:
    """Compares outputs with those of the PyTorch class."""
    with np.load(folder.parent / "expected.npz") as arrays:
        expected = dict(arrays)
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in expected]
    fed = {name: tf.constant(expected[name]) for name in names}
    found = model(fed, training=False)
    for name in ("logits", "start_logits", "end_logits"):
        if name in found:
            difference = np.abs(found[name].numpy() - expected[f"{folder.name}/{name}"])
            if name != "logits" or "ForMaskedLM" in folder.name:
                difference = difference[expected["attention_mask"] == 1]
            print(f"{folder.name} {name}: largest difference {difference.max():.2e}")
            if difference.max() > 1e-5:
                sys.exit(1)


def save(model, folder: Path, **how) -> None:
    """Writes each file of weights, compressed: most of an HDF5 file of small arrays is empty."""
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary, safe_serialization=False, **how)
        for path in sorted(Path(temporary).iterdir()):
            if path.name != "config.json":
                content = gzip.compress(path.read_bytes(), mtime=0)
                (folder / f"{path.name}.gz").write_bytes(content)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for weights in sorted(HERE.glob("*/*/model.safetensors")):
        made = keras_model(weights.parent)
        check(made, weights.parent)
        save(made, weights.parent)
    shards = HERE / "bert" / "shards"
    shards.mkdir(exist_ok=True)
    save(keras_model(HERE / "bert" / "BertForMaskedLM"), shards, max_shard_size="3KB")
