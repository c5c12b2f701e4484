"""Answers -> the outputs of an export's text signature, for protocols that speak of tensors."""

from collections.abc import Callable, Sequence
from typing import Any

from serving.rows import Answer

Outputs = dict[str, list[Any]]
"""Values by output name, one a row."""


def signature_outputs(problem_type: str, answers: Sequence[Answer]) -> Outputs:
    """What the text signature of the export gives for the rows of a request.

    Args:
      problem_type: of the export.
      answers: one a row, as `Predictor.answer` gives them; at least one.
    """
    return _OUTPUTS.get(problem_type, _as_named)(answers)


def _single_label(answers: Sequence[Answer]) -> Outputs:
    return {
        "label": [answer["label"] for answer in answers],
        "score": [max(answer["probabilities"].values()) for answer in answers],
        **_multi_label(answers),
    }


def _multi_label(answers: Sequence[Answer]) -> Outputs:
    return {
        "probabilities": [list(answer["probabilities"].values()) for answer in answers],
        "labels": [list(answer["probabilities"]) for answer in answers],
    }


def _regression(answers: Sequence[Answer]) -> Outputs:
    return {"score": [answer["label"] for answer in answers]}


def _masked_lm(answers: Sequence[Answer]) -> Outputs:
    """Rows with fewer masks than others are filled up, as in the signature: empty pieces, probability 0."""
    masks = [answer["masks"] for answer in answers]
    most = max(map(len, masks))
    width = max((len(mask) for row in masks for mask in row), default=0)

    def filled(name: str, default: Any) -> list[Any]:
        nothing = [default] * width
        return [
            [[guess[name] for guess in mask] for mask in row] + [list(nothing) for _ in range(most - len(row))]
            for row in masks
        ]

    return {
        "num_masks": [len(row) for row in masks],
        "pieces": filled("piece", ""),
        "probabilities": filled("probability", 0.0),
    }


def _as_named(answers: Sequence[Answer]) -> Outputs:
    return {name: [answer[name] for answer in answers] for name in answers[0]}


_OUTPUTS: dict[str, Callable[[Sequence[Answer]], Outputs]] = {
    "single_label": _single_label,
    "multi_label": _multi_label,
    "regression": _regression,
    "masked_lm": _masked_lm,
}
"""Problem types whose answers have another form than the outputs; those of others have the same names."""
