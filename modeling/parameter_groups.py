"""One table of what training does with which variables: whether they move, at which rate, with what weight decay."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

WEIGHT_DECAY = 0.01


@dataclasses.dataclass(frozen=True)
class ParameterGroup:
    """Variables by their names, and what of their training differs from that of others.

    Args:
      name: for people.
      pattern: regular expression that is searched for in the name of a variable, as `bert/pooler/dense/kernel`.
      learning_rate: peak rate; the schedule is that of the run. None: not decided here.
      weight_decay: fraction of a weight to take off each step, times the rate. None: not decided here.
      is_trained: False for variables that stay as they are. None: not decided here.
    """

    name: str
    pattern: str
    learning_rate: float | None = None
    weight_decay: float | None = None
    is_trained: bool | None = None


@dataclasses.dataclass(frozen=True)
class Training:
    """What is decided for one variable; a learning rate of None is that of the run."""

    learning_rate: float | None
    weight_decay: float
    is_trained: bool


NOT_DECAYED = ParameterGroup("normalization and biases", "LayerNorm|layer_norm|bias", weight_decay=0.0)
"""Upstream's exception from weight decay."""

HEAD = "^(?!bert/)"
"""Pattern of whatever stands on the encoder."""


@dataclasses.dataclass(frozen=True)
class ParameterTable:
    """Groups in the order in which they decide: for each setting of a variable, the first that says something of it.

    Args:
      groups: those that come before `NOT_DECAYED`.
      weight_decay: of what no group says anything of.
    """

    groups: tuple[ParameterGroup, ...] = ()
    weight_decay: float = WEIGHT_DECAY

    def of(self, name: str) -> Training:
        """What is decided for a variable.

        Args:
          name: of the variable; `:0` at its end is left out.
        """
        name = re.sub(r":\d+$", "", name)
        rest = ParameterGroup("all", "", weight_decay=self.weight_decay, is_trained=True)
        matching = [group for group in (*self.groups, NOT_DECAYED, rest) if re.search(group.pattern, name)]

        def first(setting: str) -> Any:
            values = (getattr(group, setting) for group in matching)
            return next((value for value in values if value is not None), None)

        return Training(first("learning_rate"), first("weight_decay"), first("is_trained"))

    def rates(self) -> set[float]:
        """The learning rates of groups that have one of their own."""
        return {group.learning_rate for group in self.groups if group.learning_rate is not None}

    def trained(self, variables: Iterable[Any]) -> list[Any]:
        """The variables that are not frozen, in their order."""
        return [variable for variable in variables if self.of(variable.name).is_trained]

    def lines(self, variables: Sequence[Any], learning_rate: float) -> list[str]:
        """A line for each kind of training that differs: parameters, rate, weight decay.

        Args:
          variables: all of a model.
          learning_rate: peak rate of the run.

        Example:
          ["109,482,240 parameters: learning rate 5e-05, weight decay 0.01", "1,538 parameters: frozen"]
        """
        sizes: dict[Training, int] = {}
        for variable in variables:
            decided = self.of(variable.name)
            key = decided if decided.is_trained else Training(None, 0.0, False)
            sizes[key] = sizes.get(key, 0) + variable.shape.num_elements()
        return [f"{size:,} parameters: {_described(key, learning_rate)}" for key, size in sizes.items()]

    def summary(self, variables: Sequence[Any], what: str) -> str:
        """One line: `frozen: embeddings,0-5; 1,774,464 of 22,713,216 parameters are trained`.

        Args:
          variables: all of a model.
          what: why not all of them are.
        """
        return f"{what}; {_size(self.trained(variables)):,} of {_size(variables):,} parameters are trained"


UPSTREAM = ParameterTable()
"""Everything is trained at the rate of the run, with upstream's weight decay."""


def _described(training: Training, learning_rate: float) -> str:
    if not training.is_trained:
        return "frozen"
    rate = learning_rate if training.learning_rate is None else training.learning_rate
    return f"learning rate {rate:g}, weight decay {training.weight_decay:g}"


def _size(variables: Iterable[Any]) -> int:
    return sum(variable.shape.num_elements() for variable in variables)
