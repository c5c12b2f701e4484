"""Outputs of a masked-language model -> tokens for each `[MASK]`: one place for prediction files and `Predictor`."""

from collections.abc import Iterable, Sequence
from typing import Any


def mask_answers(tokens: Iterable[Sequence[str]], probabilities: Iterable[Sequence[float]]) -> dict[str, Any]:
    """The likeliest tokens of each `[MASK]`, most likely first, with their probabilities.

    Args:
      tokens: for each mask, k tokens.
      probabilities: theirs.
    """
    return {
        "masks": [
            [{"piece": token, "probability": float(p)} for token, p in zip(names, values, strict=True)]
            for names, values in zip(tokens, probabilities, strict=True)
        ]
    }
