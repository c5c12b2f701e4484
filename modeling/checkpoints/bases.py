"""Bases: the encoder that a run leaves as it is, and whose values its checkpoints leave out."""

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import CheckpointError, FlagError, RunDirectoryError
from modeling.checkpoints.locate import files_of, locate_checkpoint
from modeling.checkpoints.restore import checkpoint_variables, read_tensors
from modeling.checkpoints.sources import save_tensors
from modeling.checkpoints.variable_names import GLOBAL_STEP, is_bookkeeping
from modeling.insertions import Insertions, Lora
from modeling.reading import POOLED

_ENCODER, _POOLER = "bert/", "bert/pooler/"


_Stamps = tuple[tuple[str, int, int, int], ...]
_FINGERPRINTS: dict[_Stamps, str] = {}
"""By the state of the files that they are of."""


def base_fingerprint(init_checkpoint: str) -> str:
    """Digest of an encoder's values: equal for equal weights, in whatever format and place.

    Local files are read again only once their size or time has changed.

    Raises:
      CheckpointError: the checkpoint cannot be read.
    """
    if "://" in init_checkpoint:
        return _digest(init_checkpoint)
    stamps = _stamps(init_checkpoint)  # taken before: what changes while it is read is read again
    if stamps not in _FINGERPRINTS:
        _FINGERPRINTS[stamps] = _digest(init_checkpoint)
    return _FINGERPRINTS[stamps]


def check_base(init_checkpoint: str, fingerprint: str) -> None:
    """Checks that a base still has the weights that it had when the command began.

    Args:
      init_checkpoint: path of the base; one in a bucket is not read again.
      fingerprint: of `settled_base`.

    Raises:
      CheckpointError: it cannot be read, or has other weights.
    """
    if "://" in init_checkpoint:
        return
    found = base_fingerprint(init_checkpoint)
    if found != fingerprint:
        raise CheckpointError(
            f"{init_checkpoint}: has other weights (fingerprint {found}) than when this command began ({fingerprint}), "
            "and what was trained on them does not fit; put the earlier ones back, and run the same command again"
        )


def check_kept_pooler(init_checkpoint: str, lacking: Collection[str]) -> None:
    """Checks that a base whose outputs are kept has the pooler that they depend on.

    Args:
      init_checkpoint: path of the base.
      lacking: names of variables that predictions depend on, and that the base lacks.

    Raises:
      CheckpointError: it has none: a random one would be computed with, and lost.
    """
    name = next((name for name in sorted(lacking) if name.startswith(_POOLER)), None)
    if name is not None:
        raise CheckpointError(
            f"{init_checkpoint}: has no pooler ({name}), which --pooling={POOLED} reads, and --cache_features keeps "
            "what a trained one gives; choose another --pooling, or train without --cache_features and let --freeze "
            "leave out the pooler"
        )


def _stamps(init_checkpoint: str) -> _Stamps:
    try:
        states = [(path, path.stat()) for path in files_of(init_checkpoint)]
    except OSError as error:
        raise CheckpointError(f"{init_checkpoint}: cannot be read ({error.strerror}); check the path") from None
    return tuple((str(path), state.st_ino, state.st_size, state.st_mtime_ns) for path, state in states)


def _digest(init_checkpoint: str) -> str:
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
