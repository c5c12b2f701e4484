"""Bases: the encoder that a run leaves as it is, and whose values its checkpoints leave out."""

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import CheckpointError, FlagError, RunDirectoryError
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.restore import checkpoint_variables, read_tensors
from modeling.checkpoints.sources import save_tensors
from modeling.checkpoints.variable_names import GLOBAL_STEP, is_bookkeeping
from modeling.insertions import Insertions, Lora

_ENCODER = "bert/"


def base_fingerprint(init_checkpoint: str) -> str:
    """Digest of an encoder's values: equal for equal weights, in whatever format and place.

    Raises:
      CheckpointError: the checkpoint cannot be read.
    """
    digest = hashlib.sha256()
    shapes = checkpoint_variables(init_checkpoint)
    names = sorted(name for name in shapes if name.startswith(_ENCODER) and not is_bookkeeping(name, shapes))
    for name, value in read_tensors(init_checkpoint, names):
        digest.update(f"{name}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value, np.float32).tobytes())
    return digest.hexdigest()[:16]


def settled_base(init_checkpoint: str | None, recorded: Mapping[str, Any] | None, folder: Path) -> dict[str, str]:
    """Path and fingerprint of the base of a run.

    Args:
      init_checkpoint: as the command gives it; None for the one that is recorded.
      recorded: what an earlier command of the run wrote; None where it has none.
      folder: of the run, for messages.

    Raises:
      FlagError: there is none.
      CheckpointError: it cannot be read.
      RunDirectoryError: it has other weights than the run was trained on.
    """
    path = init_checkpoint or (recorded or {}).get("path")
    if not path:
        raise FlagError("--init_checkpoint is missing: adapters, LoRA and cached features stand on a trained encoder")
    if recorded and not init_checkpoint:
        try:
            locate_checkpoint(path)
        except CheckpointError:
            raise CheckpointError(
                f"{path}: the base that --output_dir={folder} was trained on is not there; give its place as "
                "--init_checkpoint"
            ) from None
    found = {"path": path if "://" in path else str(Path(path).resolve()), "fingerprint": base_fingerprint(path)}
    if recorded and recorded.get("fingerprint") != found["fingerprint"]:
        raise RunDirectoryError(
            f"{path}: has other weights (fingerprint {found['fingerprint']}) than the base that --output_dir={folder} "
            f"was trained on ({recorded.get('path')}, fingerprint {recorded.get('fingerprint')}); give that one"
        )
    return found


def completed(checkpoint: str, base: str | None, merged: Insertions = None) -> str:
    """Prefix of a checkpoint with everything: what a run has trained, and the rest of its base.

    It is removed when the process ends.

    Args:
      checkpoint: prefix of the run's.
      base: as `init_checkpoint`.
      merged: low-rank deltas to fold into the kernels; None keeps them as they are.

    Raises:
      CheckpointError: one of them cannot be read.
    """
    shapes = checkpoint_variables(checkpoint)
    trained = [name for name in shapes if name == GLOBAL_STEP or not is_bookkeeping(name, shapes)]
    values = dict(read_tensors(checkpoint, trained))
    if base is not None:
        held = checkpoint_variables(base)
        rest = [name for name in held if name.startswith(_ENCODER) and not is_bookkeeping(name, held)]
        values |= dict(read_tensors(base, [name for name in rest if name not in values]))
    if isinstance(merged, Lora):
        values = with_deltas(values, merged.scale)
    folder = tempfile.mkdtemp(prefix="bert_completed_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prefix = f"{folder}/model.ckpt"
    save_tensors(values, prefix)
    return prefix


def with_deltas(values: Mapping[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    """Variables by name, where the low-rank deltas have become a part of their kernels."""
    folded = {name: value for name, value in values.items() if not name.endswith(("/lora_a", "/lora_b"))}
    for name, down in values.items():
        scope, _, leaf = name.rpartition("/")
        if leaf == "lora_a":
            delta = down.astype(np.float64) @ values[f"{scope}/lora_b"].astype(np.float64) * scale
            folded[f"{scope}/kernel"] = (values[f"{scope}/kernel"] + delta).astype(np.float32)
    return folded
