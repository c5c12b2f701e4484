"""Scores of classification, regression and multi-label evaluations, by scikit-learn and SciPy."""

from collections.abc import Sequence

import numpy as np


def single_label_scores(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Precision, recall and F1 (by class, macro, micro), Matthews correlation; for two classes also F1 and AUC.

    Args:
      labels: gold class ids [N].
      probabilities: class probabilities [N, C].
      names: class names; with two, the second is the positive one, as GLUE has it.
    """
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    predicted = probabilities.argmax(axis=-1)
    classes = list(range(len(names)))
    scores = {"eval_mcc": _matthews(labels, predicted, len(names))}
    for average in ("macro", "micro"):
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels, predicted, labels=classes, average=average, zero_division=0
        )
        scores |= _named(f"_{average}", precision, recall, f1)
    by_class = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    for name, precision, recall, f1 in zip(names, *by_class[:3], strict=True):
        scores |= _named(f"[{name}]", precision, recall, f1)
    if len(names) == 2:
        scores["eval_f1"] = scores[f"eval_f1[{names[1]}]"]
        if len(set(labels.tolist())) == 2:
            scores["eval_auc"] = float(roc_auc_score(labels, probabilities[:, 1]))
    return scores


def regression_scores(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Mean squared error, Pearson and Spearman correlation (NaN where either side is constant)."""
    from scipy.stats import pearsonr, spearmanr

    scores = {"eval_mse": float(np.mean(np.square(labels - predicted)))}
    constant = len(labels) < 2 or np.ptp(labels) == 0 or np.ptp(predicted) == 0
    scores["eval_pearson"] = float("nan") if constant else float(pearsonr(labels, predicted)[0])
    scores["eval_spearman"] = float("nan") if constant else float(spearmanr(labels, predicted)[0])
    return scores


def multi_label_scores(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Precision, recall and F1 (by class, macro, micro) at threshold 0.5, and the fraction of rows exactly right."""
    from sklearn.metrics import precision_recall_fscore_support

    gold, predicted = labels > 0.5, probabilities > 0.5
    scores = {"eval_exact_match": float(np.mean((gold == predicted).all(axis=-1)))}
    for average in ("macro", "micro"):
        precision, recall, f1, _ = precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)
        scores |= _named(f"_{average}", precision, recall, f1)
    by_class = precision_recall_fscore_support(gold, predicted, average=None, zero_division=0)
    for name, precision, recall, f1 in zip(names, *by_class[:3], strict=True):
        scores |= _named(f"[{name}]", precision, recall, f1)
    return scores


def _matthews(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> float:
    """Matthews correlation for any number of classes, from counts by class: a matrix of all pairs may not fit.

    Source: doi:10.1016/j.compbiolchem.2004.09.006, equation 8; equal to scikit-learn's `matthews_corrcoef`.
    """
    gold = np.bincount(labels, minlength=num_classes).astype(np.float64)
    given = np.bincount(predicted, minlength=num_classes).astype(np.float64)
    rows = float(len(labels))
    both = float(np.sum(labels == predicted)) * rows - gold @ given
    scale = (rows**2 - gold @ gold) * (rows**2 - given @ given)
    return float(both / np.sqrt(scale)) if scale else 0.0


def majority_baseline(labels: np.ndarray) -> float:
    """Accuracy of always answering the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


def _named(suffix: str, precision: float, recall: float, f1: float) -> dict[str, float]:
    return {
        f"eval_precision{suffix}": float(precision),
        f"eval_recall{suffix}": float(recall),
        f"eval_f1{suffix}": float(f1),
    }
