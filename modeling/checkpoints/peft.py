"""Low-rank deltas in the files of `peft`, in terms of ours: `adapter_config.json` and `adapter_model.safetensors`.

Source: file names, keys and defaults of peft 0.21; no TensorFlow is needed.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import CheckpointError, one_line
from common.files import json_object
from modeling.checkpoints.huggingface import HuggingFaceCheckpoint, is_transposed
from modeling.checkpoints.safetensors import tensor_names
from modeling.config import BertConfig
from modeling.families.names import HeadNames, HuggingFaceNames
from modeling.insertions import TARGETS, Lora

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_PREFIX = "base_model.model."
_DELTA = re.compile(r"(.+)\.lora_([AB])\.weight")
_OURS = re.compile(r"bert/encoder/layer_(\d+)/(.+)/kernel")
_TASKS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
}

# Keys that change nothing of what a trained adapter computes, or that are read.
_HARMLESS = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "corda_config", "eva_config", "inference_mode", "init_lora_weights",
        "layers_pattern", "loftq_config", "lora_alpha", "lora_dropout", "megatron_core", "modules_to_save", "peft_type",
        "peft_version", "qalora_group_size", "r", "revision", "runtime_config", "target_modules", "task_type",
        "use_rslora", "exclude_modules", "ensure_weight_tying", "layers_to_transform",
    }
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class InsertedWeights:
    """What a file of adapters holds.

    Args:
      insertions: what it inserts.
      values: variables by our names, those of a head included.
      base: name or path of its base, as the file has it.
      labels: names of the head's labels, in order; none where the files do not name them.
    """

    insertions: Any
    values: Mapping[str, np.ndarray]
    base: str | None
    labels: tuple[str, ...] = ()


def config_of(lora: Lora, config: BertConfig, heads: Sequence[HeadNames], saved: Sequence[str], base: str) -> dict:
    """The content of an `adapter_config.json`.

    Args:
      lora: what is inserted.
      config: of the encoder.
      heads: of the model, as `HuggingFaceNames.heads_of`.
      saved: names of the trained tensors besides the deltas, as in `tensors_of`.
      base: path of the base.
    """
    names = config.family.hugging_face
    modules = [_module(names, f"bert/encoder/layer_0/{TARGETS[target]}/kernel", heads) for target in lora.targets]
    leaves = [module.rpartition(".")[2] for module in modules]
    # A list is compared with the ends of names; parts of a feed-forward layer share theirs with others.
    is_plain = set(lora.targets) <= {"query", "key", "value"}
    pattern = "|".join(re.sub(r"\d+", r"\\d+", re.escape(module), count=0) for module in modules)
    own_modules = {name.removeprefix(_PREFIX).removeprefix(names.prefix).partition(".")[0] for name in saved}
    return {
        "peft_type": "LORA",
        "task_type": next((_TASKS[head.title] for head in heads if head.title in _TASKS), None),
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.scale * lora.rank,
        "lora_dropout": lora.dropout,
        "target_modules": sorted(leaves) if is_plain else f"(?:{pattern})",
        "modules_to_save": sorted(own_modules) or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "inference_mode": True,
    }


def tensors_of(
    values: Mapping[str, np.ndarray], names: HuggingFaceNames, heads: Sequence[HeadNames]
) -> dict[str, np.ndarray]:
    """Trained variables by their names in `adapter_model.safetensors`.

    Raises:
      CheckpointError: one of them has no name there.
    """
    tensors = {}
    for name, value in values.items():
        scope, _, leaf = name.rpartition("/")
        if leaf in ("lora_a", "lora_b"):
            theirs = f"{_module(names, f'{scope}/kernel', heads)}.lora_{leaf[-1].upper()}.weight"
            tensors[_PREFIX + theirs] = np.ascontiguousarray(value.T, np.float32)
            continue
        found = names.theirs(name, heads)
        if found is None:
            raise CheckpointError(f"{name}: was trained, and no class of Hugging Face has it; serve an export instead")
        tensors[_PREFIX + found] = np.ascontiguousarray(value.T if is_transposed(name, found) else value, np.float32)
    return tensors


def read(folder: Path, config: BertConfig) -> InsertedWeights:
    """What a folder of `peft` inserts, and its values.

    Raises:
      CheckpointError: it cannot be read, or asks for what is not computed here, which is named.
    """
    settings = _settings(folder / CONFIG)
    file = HuggingFaceCheckpoint(str(folder / WEIGHTS)) if tensor_names(folder / WEIGHTS) else None
    names, values = config.family.hugging_face, {}
    for theirs in file or ():
        bare = theirs.removeprefix(_PREFIX)
        match = _DELTA.fullmatch(bare)
        ours = names.ours(f"{match[1]}.weight" if match else bare)
        if ours is None or file is None:
            raise CheckpointError(
                f"{folder / WEIGHTS}: {one_line(theirs, 120)} has no counterpart in {config.family.title}; a part of "
                "the file would be lost; give the base that it was trained on"
            )
        array = file.read(theirs)
        if match:
            ours = f"{ours.removesuffix('/kernel')}/lora_{match[2].lower()}"
            array = array.T
        elif is_transposed(ours, bare):
            array = array.T
        values[ours] = np.ascontiguousarray(array, np.float32)
    scale = settings["lora_alpha"] / (math.sqrt(settings["r"]) if settings.get("use_rslora") else settings["r"])
    targets = _targets(values, config, folder / WEIGHTS, settings["r"])
    lora = Lora(settings["r"], scale, targets, float(settings.get("lora_dropout") or 0.0))
    return InsertedWeights(lora, values, settings.get("base_model_name_or_path"))


def _module(names: HuggingFaceNames, kernel: str, heads: Sequence[HeadNames]) -> str:
    theirs = names.theirs(kernel, heads)
    assert theirs is not None, kernel
    return theirs.removesuffix(".weight")


def _settings(path: Path) -> dict[str, Any]:
    """The content of an `adapter_config.json` that can be honoured.

    Raises:
      CheckpointError: it cannot be read, or one of its keys cannot be honoured.
    """
    try:
        settings = json_object(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({one_line(error)}); copy the folder again") from None
    if settings.get("peft_type") != "LORA":
        raise CheckpointError(
            f"{path}: peft_type is {one_line(repr(settings.get('peft_type')), 40)}; only LORA is computed here"
        )
    usual = {"bias": "none", "fan_in_fan_out": False}
    for key, value in settings.items():
        if key in usual and value == usual[key]:
            continue
        if key not in _HARMLESS and value not in (None, False, {}, []):
            raise CheckpointError(
                f"{path}: {key} is {one_line(repr(value), 60)}, which is not computed here; merge the adapter into its "
                "base with peft, and convert that"
            )
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, int | float) or isinstance(alpha, bool):
        raise CheckpointError(f"{path}: r is {rank!r} and lora_alpha {alpha!r}; expected numbers")
    return settings


def _targets(values: Mapping[str, np.ndarray], config: BertConfig, path: Path, rank: int) -> tuple[str, ...]:
    """Which layers the deltas are of: the same in each layer of the encoder.

    Raises:
      CheckpointError: they are not, or are of other parts, or of another rank.
    """
    by_part = {part: target for target, part in TARGETS.items()}
    found: dict[str, set[int]] = {}
    scopes = {name.rpartition("/")[0] for name in values if name.endswith(("/lora_a", "/lora_b"))}
    for scope in sorted(scopes):
        match = _OURS.fullmatch(f"{scope}/kernel")
        if match is None or match[2] not in by_part:
            raise CheckpointError(f"{path}: a delta of {scope}, expected of {', '.join(TARGETS.values())} in layers")
        for leaf, axis in (("lora_a", 1), ("lora_b", 0)):
            shape = values[f"{scope}/{leaf}"].shape if f"{scope}/{leaf}" in values else ()
            if len(shape) != 2 or shape[axis] != rank:
                raise CheckpointError(f"{path}: {scope}/{leaf} has the shape {shape}, expected rank {rank}")
        found.setdefault(by_part[match[2]], set()).add(int(match[1]))
    layers = set(range(config.num_hidden_groups or config.num_hidden_layers))
    for target, there in found.items():
        if there != layers:
            raise CheckpointError(
                f"{path}: deltas of {target} in {len(there)} of {len(layers)} layers (layers_to_transform?), expected "
                "them in each"
            )
    if not found:
        raise CheckpointError(f"{path}: holds no low-rank deltas")
    return tuple(target for target in TARGETS if target in found)
