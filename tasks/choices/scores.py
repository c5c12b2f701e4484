"""Scores of multiple choice."""

import numpy as np


def ranks(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The rank of each right choice, from 1; of equal ones the first place comes first, as in an answer.

    Args:
      labels: place of the right choice, int `[N]`.
      probabilities: of each place, `[N, C]`.
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels][:, np.newaxis]
    before = np.arange(probabilities.shape[1])[np.newaxis] < labels[:, np.newaxis]
    return 1 + np.sum((probabilities > own) | ((probabilities == own) & before), axis=1)


def choice_scores(labels: np.ndarray, probabilities: np.ndarray, lengths: np.ndarray) -> dict[str, float]:
    """Mean reciprocal rank of the right choices, and the accuracy of choosing at random.

    Args:
      labels: place of the right choice, int `[N]`.
      probabilities: of each place, `[N, C]`.
      lengths: tokens of each choice `[N, C]`, 0 where there is none.
    """
    return {
        "eval_mrr": float(np.mean(1.0 / ranks(labels, probabilities))),
        "eval_chance": float(np.mean(1.0 / np.maximum(np.sum(lengths > 0, axis=1), 1))),
    }
