"""Rows for tokens that a checkpoint does not have: each starts as the mean of those there."""

from collections.abc import Mapping

import numpy as np

from modeling.checkpoints.variable_names import WORD_EMBEDDINGS

OF_TOKENS = (WORD_EMBEDDINGS, "cls/predictions/output_bias")
"""Variables with a row for each token of the vocabulary."""


def with_rows(shapes: Mapping[str, tuple[int, ...]], added: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a checkpoint's variables as if it had more tokens."""
    return {name: (shape[0] + added, *shape[1:]) if name in OF_TOKENS else shape for name, shape in shapes.items()}


def lengthened(value: np.ndarray, added: int) -> np.ndarray:
    """A variable with a row for each token, `[tokens, ...]`, with more rows, each the mean of those that it has.

    Example:
      >>> lengthened(np.array([[1.0, 2.0], [3.0, 6.0]]), 1)
      array([[1., 2.],
             [3., 6.],
             [2., 4.]])
    """
    mean = value.mean(axis=0, keepdims=True, dtype=np.float64).astype(value.dtype)
    return np.concatenate([value, np.repeat(mean, added, axis=0)])
