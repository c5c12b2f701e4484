"""Outputs of a classifier -> an answer for people: one place for prediction files, `Predictor` and servers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MULTI_LABEL_THRESHOLD = 0.5
"""Probability above which a label of several is given."""


def label_answer(problem_type: str, names: Sequence[str], values: NDArray[Any]) -> dict[str, Any]:
    """The answer for one row, as in `predictions.jsonl`.

    Args:
      problem_type: `"single_label"`, `"regression"` or `"multi_label"`.
      names: label names in the order of the classes; none for regression.
      values: probabilities `[C]`, or the score as a scalar or `[1]`.

    Returns:
      `label`: a name, several names, or a number; and `probabilities` by name unless it is a number.
    """
    if problem_type == "regression":
        return {"label": float(np.atleast_1d(values)[0])}
    probabilities = {name: float(p) for name, p in zip(names, values, strict=True)}
    if problem_type == "multi_label":
        chosen = [name for name, p in probabilities.items() if p > MULTI_LABEL_THRESHOLD]
        return {"label": chosen, "probabilities": probabilities}
    return {"label": names[int(values.argmax())], "probabilities": probabilities}
