"""SIGTERM and Ctrl-C: both raise KeyboardInterrupt, or wait until a loop reaches a point at which it can stop."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

log = logging.getLogger(__name__)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they take a machine away."""


_EXCEPTIONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def exit_code(error: KeyboardInterrupt) -> int:
    """What a shell gives for the signal: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Makes SIGTERM raise `Terminated` within a block of the main thread, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    del frame
    raise _EXCEPTIONS[signal.Signals(number)]


class Interruption:
    """A request to stop that a loop answers when it can.

    Attributes:
      is_deferred: whether a signal waits for the loop; else it raises at once.
    """

    def __init__(self) -> None:
        self.is_deferred = False
        self._requested: type[KeyboardInterrupt] | None = None

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Takes both signals over for a block; does nothing outside the main thread, which alone receives them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in _EXCEPTIONS}
        try:
            yield
        finally:
            self.is_deferred = False
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Lets signals raise within a block of a loop that defers them; raises one that waits already."""
        was_deferred, self.is_deferred = self.is_deferred, False
        try:
            self.check()
            yield
        finally:
            self.is_deferred = was_deferred

    def is_requested(self) -> bool:
        """Whether a signal waits."""
        return self._requested is not None

    def request(self) -> None:
        """Asks to stop as SIGTERM does, from any thread: another machine has received it."""
        self._requested = self._requested or Terminated

    def check(self) -> None:
        """Raises the exception of a signal that waits.

        Raises:
          KeyboardInterrupt: there is one.
        """
        if self._requested is not None:
            raise self._requested

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.is_deferred or self.is_requested():
            _raise(number, frame)
        self._requested = _EXCEPTIONS[signal.Signals(number)]
        log.info("stopping after this step, with a checkpoint; a second signal stops at once")
