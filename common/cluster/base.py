"""The machines of a run, seen from one of them; and a run on one machine."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, final

from common.cluster.member import Member


class Cluster(abc.ABC):
    """The machines of a run, seen from one of them.

    Attributes:
      on_stop: called when another machine was asked to stop, so that all of them stop together.
    """

    is_chief: bool
    member: Member | None = None

    def __init__(self) -> None:
        self.on_stop: Callable[[], None] = lambda: None

    @abc.abstractmethod
    def agree(self, facts: Mapping[str, Any], what: str) -> None:
        """Waits for every machine, and compares what they know.

        Raises:
          ClusterError: a machine is lost.
          FlagError: two machines know different things.
        """

    @abc.abstractmethod
    def tell(self, value: Any = None) -> Any:
        """Gives a value of the chief's to all others, who wait for it."""

    @abc.abstractmethod
    def ask_to_stop(self) -> None:
        """Asks the chief to stop, which stops them all."""

    @abc.abstractmethod
    def close(self, error: BaseException | None = None) -> None:
        """Leaves, and says why where something went wrong."""

    @final
    def wait(self) -> None:
        """Waits until every machine is here.

        Raises:
          ClusterError: a machine is lost.
        """
        self.agree({}, "")

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.close(error)


class Alone(Cluster):
    """One machine."""

    is_chief = True

    def agree(self, facts: Mapping[str, Any], what: str) -> None:
        """Nobody else could disagree."""

    def tell(self, value: Any = None) -> Any:
        """The value."""
        return value

    def ask_to_stop(self) -> None:
        """Nobody else has to stop."""

    def close(self, error: BaseException | None = None) -> None:
        """Nobody else has to know."""


ALONE = Alone()
