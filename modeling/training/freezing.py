"""Parts of the encoder that training leaves as they are: their names, and the variables they stand for."""

import dataclasses

from modeling.layer_lists import EMBEDDINGS, as_text, parse_parts
from modeling.parameter_groups import ParameterGroup

ENCODER, POOLER = "encoder", "pooler"
"""Names of parts besides layer numbers; the encoder is the embeddings and all layers."""


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
        return ",".join([*first, *as_text(self.layers), *last])

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
    parts = parse_parts(text, "freeze", num_hidden_layers, (EMBEDDINGS, ENCODER, POOLER)) if text else []
    names = {part for part in parts if isinstance(part, str)}
    layers = {part for part in parts if isinstance(part, int)}
    if ENCODER in names:
        names.add(EMBEDDINGS)
        layers.update(range(num_hidden_layers))
    return FrozenParts(EMBEDDINGS in names, tuple(sorted(layers)), POOLER in names)
