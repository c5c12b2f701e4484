"""What a student learns of the inside of a teacher, and which layers belong together. No TensorFlow is needed."""

import dataclasses
from collections.abc import Sequence

from modeling.config import BertConfig


@dataclasses.dataclass(frozen=True)
class Inside:
    """The teacher's encoder, and what is learned of it.

    Args:
      config: of the teacher.
      checkpoint: prefix of its weights, under the names of the graph.
      layers: for each layer of the student, the layer of the teacher, from 0, whose output it learns.
      hidden: weight of the loss between hidden states.
      attention: weight of the loss between attention scores.
    """

    config: BertConfig
    checkpoint: str
    layers: tuple[int, ...]
    hidden: float = 0.0
    attention: float = 0.0


def even_layers(student: int, teacher: int) -> tuple[int, ...]:
    """For each of the student's layers the last of an equal part of the teacher's.

    Example:
      >>> even_layers(3, 6), even_layers(2, 5)
      ((1, 3, 5), (1, 4))

    Source: arXiv:1909.10351, section 4.1 (g(m) = m * N / M), rounded down.
    """
    return tuple((layer + 1) * teacher // student - 1 for layer in range(student))


def layers_of(given: Sequence[int], student: BertConfig, teacher: BertConfig) -> tuple[int, ...]:
    """The teacher's layer for each of the student's: those that it began as, else evenly spread."""
    return tuple(given) or even_layers(student.num_hidden_layers, teacher.num_hidden_layers)
