"""The arithmetic of a model, counted."""

from collections.abc import Sequence
from typing import Any


def model_flops(config: Any, lengths: Sequence[int]) -> int:
    """Floating-point operations of the matrix products of a forward pass over real pieces: two a multiply-add.

    Every layer is counted in full, for every piece, though a classifier reads only the first piece of the last one;
    embeddings, normalisation, activations and the classifier's few columns are not counted.

    Args:
      config: a `modeling.BertConfig`.
      lengths: pieces of each row.

    Example:
      One layer, hidden 2, intermediate 4, a row of 3 pieces: 4*2*2 + 2*2*4 = 32 multiply-adds a piece, 2*2*3*3 of
      attention, 2*2 of the pooler: 96 + 36 + 4 = 136.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    a_piece = 4 * hidden * hidden + 2 * hidden * inner
    attention = 2 * hidden * sum(length * length for length in lengths)
    layers = config.num_hidden_layers * (a_piece * sum(lengths) + attention)
    return 2 * (layers + len(lengths) * hidden * hidden)
