"""What a student learns of a teacher: the contract of a teacher, and how much its scores count."""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # who answers from an export needs none of the models
    from modeling.inside import Inside

Scores = NDArray[np.float32]
"""What a teacher says of a window: `[C]` for its row, or `[n, C]` for each of n places in it."""


class Teacher(abc.ABC):
    """Gives scores for the examples of another model."""

    @abc.abstractmethod
    def made_of(self) -> dict[str, Any]:
        """Whatever decides its scores besides the examples, as plain JSON, for a fingerprint."""

    @abc.abstractmethod
    def scores(self, examples: Iterable[Any]) -> Iterator[tuple[Any, list[Scores]]]:
        """Examples in order, each with the scores of its windows, before they become probabilities.

        Raises:
          BertError: an example that the teacher has no scores for.
        """


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Rows without labels, which are learned of the teacher alone.

    Args:
      examples: gives a fresh iterator of them.
      files: that decide them, for a fingerprint.
      source: whatever else decides them, as plain JSON.
    """

    examples: Callable[[], Iterator[Any]]
    files: tuple[Path, ...]
    source: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Distillation:
    """How a student learns of a teacher.

    Args:
      teacher: gives scores for the training examples.
      temperature: T; both models' scores are divided by it, and the loss between them is multiplied by its square.
      share: of the loss against the teacher's scores; the rest is that against the labels.
      unlabelled: rows to train on besides those with labels; None for none.
      inside: what is learned of the teacher's hidden states and attention; None for nothing.

    Source: arXiv:1503.02531.
    """

    teacher: Teacher
    temperature: float = 1.0
    share: float = 0.5
    unlabelled: Unlabelled | None = None
    inside: "Inside | None" = None
