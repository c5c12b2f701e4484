"""What a run has trained in a frozen encoder, in the files of `peft` or of `adapters`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from common.errors import CheckpointError
from common.files import write_atomically
from common.run_directory import BEST, RunDirectory
from export.conversion import Description, whole_folder
from modeling.checkpoints import adapter_hub, inserted_files, peft
from modeling.checkpoints.huggingface_files import as_json, unnamed_labels
from modeling.checkpoints.inserted_files import ADAPTERS
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.restore import checkpoint_variables, read_tensors
from modeling.checkpoints.variable_names import GLOBAL_STEP, is_bookkeeping
from modeling.config import BertConfig
from modeling.families.names import HeadNames
from modeling.heads.classification import CLASSIFIER_VARIABLES
from modeling.insertions import Adapters, Insertions, Lora, parse_insertions


def recorded(folder: Path) -> tuple[Insertions, str | None]:
    """What the run of a folder has inserted, and the path of its base.

    Raises:
      BertError: `run.json` cannot be read.
    """
    run = RunDirectory(folder.parent if folder.name == BEST else folder)
    described = run.description() or {}
    flags = {"adapter_size": None, "lora_rank": None, **described.get("flags", {}), "typed": set()}
    return parse_insertions(SimpleNamespace(**flags)), (described.get("base") or {}).get("path")


def convert(
    init_checkpoint: str, folder: Path, output_dir: Path, target: str, config: BertConfig, description: Description
) -> list[str]:
    """Writes what a run has trained; it is whole, and read back, before it is put in place.

    Args:
      init_checkpoint: of the run.
      folder: of the run.
      output_dir: the new folder; absent, or empty.
      target: one of `inserted_files.FORMATS`.
      config: of the encoder.
      description: what the run says of its head.

    Returns:
      The report, a line a group.

    Raises:
      CheckpointError: the run has nothing of the kind, or what the format cannot hold.
    """
    source = locate_checkpoint(init_checkpoint).path
    insertions, base = recorded(folder)
    _check(source, insertions, target, description)
    shapes = checkpoint_variables(init_checkpoint)
    names = sorted(name for name in shapes if name != GLOBAL_STEP and not is_bookkeeping(name, shapes))
    values = dict(read_tensors(init_checkpoint, names))
    heads = config.family.hugging_face.heads_of(names, description.problem_type)
    if not heads:
        raise CheckpointError(f"{source}: its head has no class in {target}'s library; serve an export instead")
    with whole_folder(output_dir) as temporary:
        if isinstance(insertions, Lora):
            _write_peft(temporary, insertions, values, config, heads, base or "")
        elif isinstance(insertions, Adapters):
            _write_adapters(temporary, insertions, values, config, heads, description)
        _compare(inserted_files.read(temporary, config).values, values, output_dir)
    return [
        f"{output_dir}: {insertions} of {source}, every variable read back and equal",
        f"converted: {len(values)} variables; head of {config.family.title}{heads[0].title}; base {base}",
    ]


def _check(source: str, insertions: Insertions, target: str, description: Description) -> None:
    expected = Adapters if target == ADAPTERS else Lora
    if not isinstance(insertions, expected):
        flag = "--adapter_size" if target == ADAPTERS else "--lora_rank"
        found = f"trained with {insertions}" if insertions else "the whole encoder was trained"
        raise CheckpointError(f"{source}: {found}; --format={target} holds what {flag} trains")
    if description.reading or description.users_head:
        what = description.reading or f"a head of your own ({description.users_head})"
        raise CheckpointError(
            f"{source}: trained with {what}, which no class of Hugging Face computes; serve its export instead"
        )


def _write_peft(
    folder: Path,
    lora: Lora,
    values: Mapping[str, np.ndarray],
    config: BertConfig,
    heads: Sequence[HeadNames],
    base: str,
) -> None:
    tensors = peft.tensors_of(values, config.family.hugging_face, heads)
    saved = [name for name in tensors if ".lora_" not in name]
    _save(tensors, folder / peft.WEIGHTS)
    write_atomically(folder / peft.CONFIG, as_json(peft.config_of(lora, config, heads, saved, base)))


def _write_adapters(
    folder: Path,
    adapters: Adapters,
    values: Mapping[str, np.ndarray],
    config: BertConfig,
    heads: Sequence[HeadNames],
    description: Description,
) -> None:
    model_class = config.family.title + heads[0].title
    inserted, head = adapter_hub.tensors_of(values, config.family.hugging_face, heads)
    labels = description.labels or unnamed_labels(values[CLASSIFIER_VARIABLES[0]].shape[0])
    _save(inserted, folder / adapter_hub.WEIGHTS)
    _save(head, folder / adapter_hub.HEAD_WEIGHTS)
    write_atomically(folder / adapter_hub.CONFIG, as_json(adapter_hub.config_of(adapters, config, model_class)))
    write_atomically(folder / adapter_hub.HEAD_CONFIG, as_json(adapter_hub.head_config_of(config, model_class, labels)))


def _save(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(tensors), path, metadata={"format": "pt"})
    path.chmod(mode)  # the library leaves a file that only its owner can read


def _compare(found: Mapping[str, Any], values: Mapping[str, np.ndarray], output_dir: Path) -> None:
    different = [name for name in values if name not in found or found[name].tobytes() != values[name].tobytes()]
    if different or found.keys() != values.keys():
        raise CheckpointError(
            f"{output_dir}: {', '.join(different[:3])} read back with other values than were written; nothing is kept; "
            "check the disk and run the same command again"
        )
