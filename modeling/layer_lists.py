"""Lists of parts of an encoder as flags name them: `embeddings,0-5`, `3`, `8-11`. No TensorFlow is needed."""

import re
from collections.abc import Sequence

from common.errors import FlagError

EMBEDDINGS = "embeddings"

_LAYERS = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


def parse_parts(text: str, flag: str, num_hidden_layers: int, names: Sequence[str] = ()) -> list[str | int]:
    """Reads names, layer numbers and ranges with commas between them, in their order; a range becomes its numbers.

    Args:
      text: the value of the flag.
      flag: its name, for messages.
      num_hidden_layers: of the model.
      names: parts besides layers that the flag may name.

    Raises:
      FlagError: an unknown name, a layer that the model does not have, or a range that ends before it begins.
    """
    parts: list[str | int] = []
    for entry in (one.strip() for one in text.split(",")):
        if entry in names:
            parts.append(entry)
        else:
            parts.extend(_layers(entry, f"--{flag}={text}", num_hidden_layers, names))
    return parts


def as_text(layers: Sequence[int]) -> list[str]:
    """Numbers in ascending order, with runs of them as ranges: `[0, 1, 2, 5]` -> `["0-2", "5"]`."""
    firsts = [layer for layer in layers if layer - 1 not in layers]
    lasts = [layer for layer in layers if layer + 1 not in layers]
    return [str(first) if first == last else f"{first}-{last}" for first, last in zip(firsts, lasts, strict=True)]


def _layers(entry: str, where: str, num_hidden_layers: int, names: Sequence[str]) -> range:
    match = _LAYERS.fullmatch(entry)
    last_layer = num_hidden_layers - 1
    if match is None:
        expected = "".join(f"{name}, " for name in names)
        raise FlagError(
            f"{where}: {entry!r} is no part of the model; expected {expected}a layer from 0 "
            f"to {last_layer}, or a range of layers such as 0-{last_layer}"
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise FlagError(f"{where}: the range {entry} is reversed; give {last}-{first}")
    if last > last_layer:
        raise FlagError(
            f"{where}: there is no layer {last}: the model has {num_hidden_layers} layers; "
            f"give numbers from 0 to {last_layer}"
        )
    return range(first, last + 1)
