"""Training on a machine that is not the chief: it computes, and goes by what the chief decides."""

from typing import Any

import tensorflow as tf

from common.cluster.base import Cluster
from common.interruption import Interruption

v1 = tf.compat.v1
SessionRunHook: Any = v1.train.SessionRunHook


class FollowerHook(SessionRunHook):
    """Passes signals on to the chief, and waits for its word after each of its evaluations.

    Args:
      cluster: of this run.
      interruption: signals, which wait for the end of a step while this hook is in charge.
      every: steps between two evaluations of the chief's; None where it has none.
    """

    def __init__(self, cluster: Cluster, interruption: Interruption, every: int | None) -> None:
        self._cluster, self._interruption, self._every = cluster, interruption, every
        self._has_asked = False
        self._heard = -1

    def begin(self) -> None:
        """Finds the step in the graph that is about to run."""
        self._global_step = v1.train.get_global_step()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Takes signals over."""
        del coord
        self._heard = int(session.run(self._global_step))
        self._interruption.is_deferred = True

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Stops where the chief says so."""
        del run_values
        if self._interruption.is_requested() and not self._has_asked:
            self._has_asked = True
            self._cluster.ask_to_stop()
        if self._every is None:
            return
        step = int(run_context.session.run(self._global_step))
        if step % self._every == 0 and step != self._heard:
            self._heard = step
            if self._cluster.tell():
                run_context.request_stop()

    def end(self, session: Any) -> None:
        """Waits for the chief's last evaluation."""
        if self._every is not None and int(session.run(self._global_step)) != self._heard:
            self._cluster.tell()
