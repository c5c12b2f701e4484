"""From a command line to one call: flag definitions, their checks, and errors as one line. Imports no TensorFlow."""

import signal
import sys
from types import FrameType, TracebackType

INTERRUPTED = "interrupted; run the same command again to go on from the latest checkpoint"
"""The line that a command ends in where a signal stops it."""


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _raise(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


# The first import of every script: a signal while the others go on is one line too. Elsewhere nothing changes.
_main = getattr(sys.modules.get("__main__"), "__file__", None) or ""
if _main and _main.rpartition("/")[0] == __file__.rpartition("/command_line/")[0]:
    sys.excepthook = _report
    signal.signal(signal.SIGTERM, _raise)
