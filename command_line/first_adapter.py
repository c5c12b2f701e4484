"""--init_adapter: what a folder of another library inserts, as flags, and the values that a run starts from."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common.errors import FlagError, one_line
from common.run_directory import RunDirectory
from modeling.checkpoints import inserted_files
from modeling.checkpoints.label_order import LabelOrder, places_between
from modeling.checkpoints.peft import InsertedWeights
from modeling.config import BertConfig
from modeling.insertions import Adapters, Insertions, Lora
from tasks.base import Task

log = logging.getLogger(__name__)

CLASSIFIER = "output_weights"
FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Of values that this process reads; they go when it ends."""


def taken_over(flags: SimpleNamespace, config: BertConfig, directory: RunDirectory, task: Task) -> str | None:
    """Sets the flags about what is inserted as a folder has it, and gives the prefix of its values.

    Args:
      flags: `init_adapter`, those of adapters and LoRA, and `typed`, the names on the command line.
      config: of the encoder.
      directory: of the run; one that is trained goes on from its own checkpoint.
      task: its labels and its head take what a head of the folder has.

    Raises:
      BertError: the folder cannot be read or honoured, or contradicts a flag or the labels.
    """
    path = getattr(flags, "init_adapter", None)
    if not path or directory.is_trained():
        return None
    found = inserted_files.read(Path(path), config)
    for name, value in flags_of(found.insertions).items():
        if name in flags.typed and getattr(flags, name) != value:
            raise FlagError(
                f"--{name}={getattr(flags, name)} contradicts --init_adapter={path}, which has {value}; leave it out"
            )
        setattr(flags, name, value)
    return _written(_with_labels(found, task, f"--init_adapter={path}"))


def _with_labels(found: InsertedWeights, task: Task, source: str) -> Mapping[str, Any]:
    """The values of a folder, with those of its head in the order of the task's labels.

    Raises:
      FlagError: the head has another number of labels.
    """
    labels = list(task.identity().get("labels") or [])
    outputs = found.values.get(CLASSIFIER)
    if outputs is None or not labels:
        return found.values
    if len(outputs) != len(labels):
        raise FlagError(
            f"{source}: its head has {len(outputs)} outputs, but the task {len(labels)} labels; give the task that it "
            "was trained on"
        )
    if not found.labels:
        log.info(
            "%s: does not name the labels of its head; they are taken in the order of this run: %s",
            source, one_line(", ".join(map(str, labels)), 400),
        )  # fmt: skip
    order = LabelOrder(places_between(found.labels, labels, source), task.head(is_training=False).label_axes)
    return {name: order.arranged(name, value) if order.moves(name) else value for name, value in found.values.items()}


def flags_of(insertions: Insertions) -> dict[str, Any]:
    """The flags that ask for what is inserted."""
    if isinstance(insertions, Adapters):
        return {
            "adapter_size": insertions.size,
            "adapter": insertions.kind,
            "adapter_activation": insertions.activation,
            "adapter_layer_norms": insertions.layer_norms,
        }
    assert isinstance(insertions, Lora)
    return {
        "lora_rank": insertions.rank,
        "lora_alpha": insertions.scale * insertions.rank,
        "lora_targets": ",".join(insertions.targets),
        "lora_dropout": insertions.dropout,
    }


def _written(values: Mapping[str, Any]) -> str:
    from modeling.checkpoints.sources import save_tensors

    FOLDERS.append(tempfile.TemporaryDirectory(prefix="bert_adapter_"))
    prefix = f"{FOLDERS[-1].name}/model.ckpt"
    save_tensors(values, prefix)
    return prefix
