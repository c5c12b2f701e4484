"""Parts of the encoder that training leaves as they are: their names, and the variables they stand for."""

import dataclasses
import re
from collections.abc import Sequence

from common.errors import FlagError
from modeling.parameter_groups import ParameterGroup

EMBEDDINGS, ENCODER, POOLER = "embeddings", "encoder", "pooler"
"""Names of parts besides layer numbers; the encoder is the embeddings and all layers."""

_LAYERS = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class FrozenParts:
    """What is not trained; nothing by default. Heads always are.

    As text it is what `parse_frozen_parts` reads: `embeddings,0-5`.

    Args:
      embeddings: word, segment and position vectors and their normalization; the word vectors stay as they are where
        a head compares with them, too.
      layers: numbers from 0, ascending.
      pooler: the tanh layer of the first token.
    """

    embeddings: bool = False
    layers: tuple[int, ...] = ()
    pooler: bool = False

    def __bool__(self) -> bool:
        return self.embeddings or bool(self.layers) or self.pooler

    def __str__(self) -> str:
        ends = ((EMBEDDINGS, self.embeddings), (POOLER, self.pooler))
        first, last = ([name] if frozen else [] for name, frozen in ends)
        return ",".join([*first, *_ranges(self.layers), *last])

    def groups(self) -> tuple[ParameterGroup, ...]:
        """The variables that stay as they are, by Google's names."""
        parts = [name for name, frozen in ((EMBEDDINGS, self.embeddings), (POOLER, self.pooler)) if frozen]
        parts += [f"encoder/layer_({'|'.join(map(str, self.layers))})"] if self.layers else []
        return tuple(ParameterGroup(part, f"^bert/{part}/", is_trained=False) for part in parts)


NOTHING_FROZEN = FrozenParts()


def parse_frozen_parts(text: str | None, num_hidden_layers: int) -> FrozenParts:
    """Reads names, layer numbers and ranges with commas between them: `embeddings,0-5`, `3`, `encoder,pooler`.

    Args:
      text: None or empty for nothing.
      num_hidden_layers: of the model.

    Raises:
      FlagError: an unknown name, a layer that the model does not have, or a range that ends before it begins.
    """
    names: set[str] = set()
    layers: set[int] = set()
    for entry in (text or "").split(",") if text else []:
        entry = entry.strip()
        if entry in (EMBEDDINGS, ENCODER, POOLER):
            names.add(entry)
        else:
            layers.update(_layers(entry, f"--freeze={text}", num_hidden_layers))
    if ENCODER in names:
        names.add(EMBEDDINGS)
        layers.update(range(num_hidden_layers))
    return FrozenParts(EMBEDDINGS in names, tuple(sorted(layers)), POOLER in names)


def _layers(entry: str, where: str, num_hidden_layers: int) -> range:
    match = _LAYERS.fullmatch(entry)
    last_layer = num_hidden_layers - 1
    if match is None:
        raise FlagError(
            f"{where}: {entry!r} is no part of the model; expected {EMBEDDINGS}, {ENCODER}, {POOLER}, a layer from 0 "
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


def _ranges(layers: Sequence[int]) -> list[str]:
    """`[0, 1, 2, 5]` -> `["0-2", "5"]`."""
    firsts = [layer for layer in layers if layer - 1 not in layers]
    lasts = [layer for layer in layers if layer + 1 not in layers]
    return [str(first) if first == last else f"{first}-{last}" for first, last in zip(firsts, lasts, strict=True)]
