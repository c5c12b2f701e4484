"""Outputs of a masked-language model -> tokens for each `[MASK]`: one place for prediction files and `Predictor`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tasks.answers import Answer, ExportAnswers, Outputs


def mask_answers(tokens: Iterable[Sequence[str]], probabilities: Iterable[Sequence[float]]) -> Answer:
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


class MaskAnswers(ExportAnswers):
    """The likeliest tokens of each `[MASK]` of a text."""

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """As `mask_answers`; texts without a mask have an empty list."""
        made = []
        for row, masks in enumerate(outputs["num_masks"][:count]):
            tokens = [[piece.decode() for piece in pieces] for pieces in outputs["pieces"][row][:masks]]
            made.append(mask_answers(tokens, outputs["probabilities"][row][:masks]))
        return made

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """Rows with fewer masks than others are filled up, as in the signature: empty tokens, probability 0."""
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
