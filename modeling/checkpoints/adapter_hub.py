"""Adapters in the files of the `adapters` library, in terms of ours: a configuration and tensors of adapter and head.

Source: file names, keys and defaults of adapters 1.3; no TensorFlow is needed.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import CheckpointError, one_line
from common.files import json_object
from modeling.checkpoints.huggingface import TensorFile, is_transposed
from modeling.checkpoints.huggingface_files import unnamed_labels
from modeling.checkpoints.peft import InsertedWeights
from modeling.checkpoints.pickles import PickledTensors
from modeling.checkpoints.weight_files import weight_files
from modeling.config import BertConfig
from modeling.families.names import HeadNames, HuggingFaceNames
from modeling.insertions import HOULSBY, PFEIFFER, Adapters

CONFIG, WEIGHTS = "adapter_config.json", "adapter.safetensors"
HEAD_CONFIG, HEAD_WEIGHTS = "head_config.json", "model_head.safetensors"
NAME = "adapter"
"""What an adapter is called in files that are written here."""

_PLACES = {"attention/output": "attention/output/dense", "output": "output/dense"}
"""Where adapters stand in a layer, and the linear layer before each."""
_LEAVES = {"weights1": "adapter_down.0.weight", "biases1": "adapter_down.0.bias", "weights2": "adapter_up.weight",
           "biases2": "adapter_up.bias"}  # fmt: skip
_KEY = re.compile(r"(.+)\.adapters\.([^.]+)\.(adapter_(?:down\.0|up)\.(?:weight|bias))")
_VARIABLE = re.compile(r"(bert/encoder/layer_\d+)/(.+)/adapters/(\w+)")
_ACTIVATIONS = {"gelu": "gelu_new", "gelu_erf": "gelu", "relu": "relu", "swish": "swish"}
_READ = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_erf", "relu": "relu", "swish": "swish",
         "silu": "swish", "gelu_orig": "gelu_erf"}  # fmt: skip

# What is computed, by key; keys of other methods' details change nothing while these are off.
_FIXED: dict[str, Any] = {
    "adapter_residual_before_ln": False, "cross_adapter": False, "inv_adapter": None, "is_parallel": False,
    "leave_out": [], "ln_after": False, "ln_before": False, "original_ln_after": True, "output_adapter": True,
    "phm_layer": False, "residual_before_ln": True, "scaling": 1.0, "use_gating": False,
}  # fmt: skip
_WRITTEN: dict[str, Any] = {
    **_FIXED, "dropout": 0.0, "factorized_phm_W": True, "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert", "init_weights_seed": None,
    "inv_adapter_reduction_factor": None, "learn_phm": True, "phm_bias": True, "phm_c_init": "normal", "phm_dim": 4,
    "phm_init_range": 0.0001, "phm_rank": 1, "shared_W_phm": False, "shared_phm_rule": True, "stochastic_depth": 0.0,
}  # fmt: skip


def config_of(adapters: Adapters, config: BertConfig, model_class: str) -> dict[str, Any]:
    """The content of an `adapter_config.json`.

    Raises:
      CheckpointError: the library cannot be told the size.
    """
    factor = config.hidden_size / adapters.size
    if int(config.hidden_size // factor) != adapters.size:
        raise CheckpointError(
            f"--adapter_size={adapters.size}: the format states a fraction of the width {config.hidden_size}, "
            f"which gives {int(config.hidden_size // factor)}; train with a divisor of the width"
        )
    is_houlsby = adapters.kind == HOULSBY
    settings = {
        **_WRITTEN,
        "mh_adapter": is_houlsby,
        "original_ln_before": not is_houlsby,
        "non_linearity": _ACTIVATIONS[adapters.activation],
        "reduction_factor": int(factor) if factor == int(factor) else factor,
    }
    return {"config": settings, **_described(config, model_class, NAME)}


def head_config_of(config: BertConfig, model_class: str, labels: Sequence[str]) -> dict[str, Any]:
    """The content of a `head_config.json` of one of Hugging Face's classes."""
    ids = {label: index for index, label in enumerate(labels)}
    return {"config": None, "label2id": ids, "num_labels": len(labels), **_described(config, model_class, None)}


def _described(config: BertConfig, model_class: str, name: str | None) -> dict[str, Any]:
    return {
        "hidden_size": config.hidden_size, "model_class": model_class, "model_name": "", "name": name,
        "model_type": config.model_type, "version": "adapters.1.3.0",
    }  # fmt: skip


def tensors_of(
    values: Mapping[str, np.ndarray], names: HuggingFaceNames, heads: Sequence[HeadNames]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Trained variables by their names in the two files: those of adapters, and those of the head.

    Raises:
      CheckpointError: one of them has no name there.
    """
    adapters, head = {}, {}
    for name, value in values.items():
        match = _VARIABLE.fullmatch(name)
        if match:
            before = names.theirs(f"{match[1]}/{_PLACES[match[2]]}/kernel", heads) or ""
            if not before.endswith(".dense.weight"):
                raise CheckpointError(f"{name}: adapters of this family have other names in the format: not written")
            theirs = f"{before.removesuffix('.dense.weight')}.adapters.{NAME}.{_LEAVES[match[3]]}"
            adapters[theirs] = np.ascontiguousarray(value.reshape(-1) if "bias" in match[3] else value.T, np.float32)
            continue
        found = names.theirs(name, heads)
        if found is None or name.startswith("bert/"):
            raise CheckpointError(
                f"{name}: was trained, and the format holds adapters and heads; train with --noadapter_layer_norms"
                if "LayerNorm" in name
                else f"{name}: was trained, and the format has no place for it"
            )
        head[found] = np.ascontiguousarray(value.T if is_transposed(name, found) else value, np.float32)
    return adapters, head


def read(folder: Path, config: BertConfig) -> InsertedWeights:
    """What a folder of `adapters` inserts, and its values, those of a head included where it has one.

    Raises:
      CheckpointError: it cannot be read, or asks for what is not computed here, which is named.
    """
    kind, activation = _settings(folder / CONFIG)
    names, values = config.family.hugging_face, {}
    of_weights = {leaf: ours for ours, leaf in _LEAVES.items()}
    sizes = set()
    file = _file(folder, WEIGHTS, "pytorch_adapter.bin")
    for theirs in file or ():
        match = _KEY.fullmatch(theirs)
        kernel = names.ours(f"{match[1]}.dense.weight") if match else None
        if file is None or match is None or kernel is None:
            raise CheckpointError(
                f"{folder}: {one_line(theirs, 120)} has no counterpart in {config.family.title}; a part of the adapter "
                "would be lost"
            )
        leaf = of_weights[match[3]]
        array = file.read(theirs)
        array = array.reshape(1, -1) if leaf.startswith("bias") else array.T
        if leaf == "weights1":
            sizes.add(array.shape[1])
        values[f"{kernel.removesuffix('/dense/kernel')}/adapters/{leaf}"] = np.ascontiguousarray(array, np.float32)
    places = 2 if kind == HOULSBY else 1
    expected = 4 * places * (config.num_hidden_groups or config.num_hidden_layers)
    if len(sizes) != 1 or len(values) != expected:
        raise CheckpointError(
            f"{folder}: holds {len(values)} tensors of adapters in sizes {sorted(sizes)}, expected {expected} of one "
            "size; adapters in some layers only, or of several sizes, are not computed here"
        )
    head = _head(folder, names)
    labels = _labels(folder / HEAD_CONFIG) if head else ()
    adapters = Adapters(sizes.pop(), kind, activation, layer_norms=False)
    return InsertedWeights(adapters, values | head, None, labels)


def _labels(path: Path) -> tuple[str, ...]:
    """Names of the labels that a `head_config.json` gives, in order; none where it gives none of its own.

    Raises:
      CheckpointError: it cannot be read, or its `label2id` is not a name for each of 0, 1, ...
    """
    if not path.is_file():
        return ()
    try:
        ids = json_object(path.read_bytes()).get("label2id")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({one_line(error)}); copy the folder again") from None
    if not ids:
        return ()
    names = {index: str(label) for label, index in ids.items()} if isinstance(ids, dict) else {}
    if set(names) != set(range(len(ids))):
        raise CheckpointError(f"{path}: label2id is not a name for each of 0, 1, ...; correct it, or remove it")
    labels = [names[index] for index in range(len(ids))]
    return () if labels == unnamed_labels(len(labels)) else tuple(labels)


def _head(folder: Path, names: HuggingFaceNames) -> dict[str, np.ndarray]:
    file = _file(folder, HEAD_WEIGHTS, "pytorch_model_head.bin", is_needed=False)
    values = {}
    for theirs in file or ():
        ours = names.ours(theirs)
        if file is None or ours is None:
            raise CheckpointError(
                f"{folder}: the head has {one_line(theirs, 80)}, which no head here computes; save the adapter of a "
                "model of a class such as BertForSequenceClassification, or remove the files of the head"
            )
        array = file.read(theirs)
        values[ours] = np.ascontiguousarray(array.T if is_transposed(ours, theirs) else array, np.float32)
    return values


def _file(folder: Path, name: str, pickled: str, is_needed: bool = True) -> TensorFile | None:
    if (folder / name).is_file():
        return weight_files(str(folder / name))[0]
    if (folder / pickled).is_file():
        return PickledTensors(str(folder / pickled))
    if is_needed:
        raise CheckpointError(f"{folder}: holds neither {name} nor {pickled}; copy the folder again")
    return None


def _settings(path: Path) -> tuple[str, str]:
    """Kind and activation of an `adapter_config.json` that can be honoured.

    Raises:
      CheckpointError: it cannot be read, or one of its keys cannot be honoured.
    """
    try:
        settings = json_object(path.read_bytes()).get("config")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({one_line(error)}); copy the folder again") from None
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: has no object under config; expected the settings of a bottleneck adapter")
    for key, computed in _FIXED.items():
        found = settings.get(key, computed)
        if found != computed:
            raise CheckpointError(
                f"{path}: {key} is {one_line(repr(found), 60)}, but adapters here compute {computed!r}; use another"
            )
    activation = settings.get("non_linearity")
    if activation not in _READ:
        raise CheckpointError(
            f"{path}: non_linearity is {one_line(repr(activation), 60)}, expected one of {', '.join(sorted(_READ))}"
        )
    places = (settings.get("mh_adapter"), settings.get("original_ln_before"))
    kinds = {(True, False): HOULSBY, (False, True): PFEIFFER}
    if places not in kinds:
        raise CheckpointError(
            f"{path}: mh_adapter {places[0]!r} with original_ln_before {places[1]!r} is neither double_seq_bn "
            "(houlsby) nor seq_bn (pfeiffer), which are computed here"
        )
    return kinds[places], _READ[activation]
