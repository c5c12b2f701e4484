"""What the protocols that ask for vectors have in common."""

import math
from collections.abc import Sequence

from serving.errors import UnprocessableError
from serving.rows import Description
from tasks.answers import Answer


def gives_vectors(description: Description) -> bool:
    """Whether a model gives a vector a text."""
    return description.problem_type == "vectors" and description.settings["vectors"]["pooling"] != "none"


def check_length(answers: Sequence[Answer], truncate: bool) -> None:
    """Refuses texts that were cut, unless the request allows that.

    Args:
      answers: each has `num_tokens`, those that were read, and `all_tokens`.
      truncate: whether it does.

    Raises:
      UnprocessableError: a text has more tokens than the model reads.
    """
    for number, answer in enumerate(answers):
        if answer["all_tokens"] > answer["num_tokens"] and not truncate:
            raise UnprocessableError(
                f"text {number} has {answer['all_tokens']} tokens, {answer['num_tokens']} are read; shorten it, "
                'or send "truncate": true'
            )


def shortened(vector: list[float], dimensions: int | None, normalize: bool) -> list[float]:
    """The first numbers of a vector, scaled to length 1 on request.

    Raises:
      UnprocessableError: it has fewer.
    """
    if dimensions is not None:
        if not 1 <= dimensions <= len(vector):
            raise UnprocessableError(f"dimensions is {dimensions}; the model gives vectors of {len(vector)}")
        vector = vector[:dimensions]
    if not normalize:
        return vector
    length = math.sqrt(math.fsum(value * value for value in vector))
    return [value / length for value in vector] if length else vector
