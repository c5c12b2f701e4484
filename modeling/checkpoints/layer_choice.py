"""A checkpoint of some layers of another."""

import re
from collections.abc import Sequence

from modeling.checkpoints.sources import open_checkpoint, save_tensors
from modeling.checkpoints.variable_names import GLOBAL_STEP, is_bookkeeping

_LAYER = re.compile(r"(bert/encoder/layer_)(\d+)(/.+)")


def write_layers(init_checkpoint: str, layers: Sequence[int], prefix: str) -> None:
    """Writes a TensorFlow checkpoint with some layers of another, in the order given, and all that is not in a layer.

    Args:
      init_checkpoint: prefix, file or directory of what to copy.
      layers: numbers from 0, each once.
      prefix: of the new checkpoint, in a directory that exists.

    Raises:
      CheckpointError: the checkpoint is not found, truncated or damaged.
    """
    source = open_checkpoint(init_checkpoint)
    shapes = source.shapes()
    kept = {}
    for name in shapes:
        if name == GLOBAL_STEP or is_bookkeeping(name, shapes):
            continue
        renamed = renumbered(name, layers)
        if renamed is not None:
            kept[renamed] = source.tensor(name)
    save_tensors(kept, prefix)


def renumbered(name: str, layers: Sequence[int]) -> str | None:
    """What a variable is called among chosen layers; None where its layer is not one of them.

    Example:
      >>> renumbered("bert/encoder/layer_5/output/dense/bias", [0, 5])
      'bert/encoder/layer_1/output/dense/bias'
    """
    match = _LAYER.fullmatch(name)
    if match is None:
        return name
    number = int(match[2])
    return f"{match[1]}{layers.index(number)}{match[3]}" if number in layers else None
