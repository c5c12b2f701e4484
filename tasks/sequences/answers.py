"""What was written of a source: one form for prediction files and exports."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tasks.answers import Answer, ExportAnswers, Outputs

SMALLEST = -1e8
"""A log probability below this is that of no text: fewer were found than were asked for."""
TEXT, TEXTS, LOG_PROBABILITIES = "text", "texts", "log_probabilities"
"""Outputs of the text signature: the best text, and all with their log probabilities, best first."""


def text_answer(texts: Sequence[str], log_probabilities: Sequence[float]) -> Answer:
    """The best text with its log probability; where several were asked for, all of them as `candidates`.

    Args:
      texts: best first.
      log_probabilities: of all tokens of a text together.
    """
    found = [
        {"text": text, "log_probability": float(value)}
        for text, value in zip(texts, log_probabilities, strict=True)
        if value > SMALLEST
    ]
    return found[0] | ({"candidates": found} if len(texts) > 1 else {})


class SequenceAnswers(ExportAnswers):
    """Texts that were written."""

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """As `text_answer`."""
        texts, values = outputs[TEXTS], outputs[LOG_PROBABILITIES]
        return [text_answer([one.decode() for one in texts[row]], values[row].tolist()) for row in range(count)]

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """Rows of fewer texts than others are filled up with "" and a log probability of -1e9."""
        rows = [answer.get("candidates", [answer]) for answer in answers]
        most = max(map(len, rows))
        filled = [[*row, *[{"text": "", "log_probability": -1e9}] * (most - len(row))] for row in rows]
        return {
            TEXT: [row[0]["text"] for row in filled],
            TEXTS: [[one["text"] for one in row] for row in filled],
            LOG_PROBABILITIES: [[one["log_probability"] for one in row] for row in filled],
        }
