"""How well the written texts fit their references."""

import math
from collections.abc import Sequence

import numpy as np


def exact_match(written: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> float:
    """Fraction of texts whose tokens are those of the reference; 0 of none."""
    hits = [list(one) == list(other) for one, other in zip(written, references, strict=True)]
    return sum(hits) / max(len(hits), 1)


def perplexity(losses: np.ndarray, tokens: np.ndarray) -> float:
    """Of the references, each token predicted from the true ones before it.

    Args:
      losses: float `[rows]`, sum of the cross-entropy of the tokens of each.
      tokens: float `[rows]`, how many there are.
    """
    mean = float(losses.astype(np.float64).sum() / max(float(tokens.astype(np.float64).sum()), 1.0))
    return math.exp(min(mean, 700.0))
