"""Outputs of an export's text signature -> answers for people, and back for protocols that speak of tensors.

`Predictor` and the server go through here; no TensorFlow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from common.errors import DataError

Answer = dict[str, Any]
"""What one row is answered with, as in a prediction file; plain JSON."""
Outputs = dict[str, list[Any]]
"""Values by output name, one a row."""


class ExportAnswers:
    """How the outputs of one kind of export are read: by default an answer has the values of its row by output name.

    Attributes:
      needs_all_texts: whether every text of a row must be given; else only the first.
      reads_windows: whether long texts are read whole, in windows; else cut to `max_seq_length`.
      predicts_number: whether the answer is a number.
    """

    needs_all_texts: bool = False
    reads_windows: bool = False
    predicts_number: bool = False

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """Answers of rows.

        Args:
          outputs: of the text signature by name, a row each.
          count: number of rows.
        """
        return [{name: _plain(values[row]) for name, values in outputs.items()} for row in range(count)]

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """What `answers` were made of: values by output name, one a row; at least one answer."""
        return {name: [answer[name] for answer in answers] for name in answers[0]}


def flat(answer: Mapping[str, Any]) -> Answer:
    """An answer as the row of a table: probabilities by name become columns `p(NAME)`."""
    probabilities = answer.get("probabilities")
    if not isinstance(probabilities, Mapping):
        return dict(answer)
    rest = {name: value for name, value in answer.items() if name != "probabilities"}
    return rest | {f"p({name})": value for name, value in probabilities.items()}


def beside(frame: Any, answers: Any) -> Any:
    """A pandas DataFrame with the columns of another beside its own, row by row, whatever its index.

    A column of answers whose name the frame has is called `predicted_NAME`.

    Raises:
      DataError: the frame has that name, too.
    """
    taken = {name: f"predicted_{name}" for name in answers.columns if name in frame.columns}
    twice = next((name for name in taken.values() if name in frame.columns), None)
    if twice is not None:
        raise DataError(f"the frame has a column {twice!r} already, which the answers need; rename it, or leave it out")
    if len(frame) != len(answers):
        raise ValueError(f"{len(answers)} answers for {len(frame)} rows")
    # By place: a join on the index would give every row with the same key the answers of all of them.
    return frame.assign(**{taken.get(name, name): answers[name].array for name in answers.columns})


def _plain(value: Any) -> Any:
    """Bytes as text, arrays as lists, numbers as Python's."""
    if isinstance(value, bytes):
        return value.decode()
    if getattr(value, "ndim", 0):
        return [_plain(one) for one in value]
    return value.item()
