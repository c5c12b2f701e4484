"""Copies of a folder as a crash would leave it: before every file operation of Python in it."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

_OPERATIONS = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "open": 0}
"""Audited operations, and which argument is the path that they change."""

_recorders: list["Recorder"] = []
_is_hooked = False


class Recorder:
    """Copies a folder to `copies/000`, `copies/001`, ... and notes what was about to happen.

    Args:
      folder: that a program writes to.
      copies: an empty folder elsewhere.
    """

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder = folder
        self.copies = copies
        self.operations: list[str] = []

    def note(self, event: str, path: str) -> None:
        """Copies the folder as it is before an operation."""
        name = re.sub(r"\d+", "N", f"{event} {Path(path).relative_to(self.folder)}")
        shutil.copytree(self.folder, self.copies / f"{len(self.operations):03d}")
        self.operations.append(name)

    def first_of_each(self) -> dict[str, Path]:
        """The first state before each kind of operation: names that differ in numbers alone are of one kind."""
        return {name: self.copies / f"{self.operations.index(name):03d}" for name in dict.fromkeys(self.operations)}

    def last_of_each(self) -> dict[str, Path]:
        """The last state before each kind of operation."""
        return {name: self.copies / f"{number:03d}" for number, name in enumerate(self.operations)}


@contextlib.contextmanager
def recorded(folder: Path, copies: Path) -> Iterator[Recorder]:
    """Records the states of a folder while a block runs in this process."""
    global _is_hooked
    if not _is_hooked:
        sys.addaudithook(_audit)  # there is no way to remove one
        _is_hooked = True
    recorder = Recorder(folder, copies)
    _recorders.append(recorder)
    try:
        yield recorder
    finally:
        _recorders.remove(recorder)


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _recorders or event not in _OPERATIONS:
        return
    path = arguments[_OPERATIONS[event]]
    if event == "open" and not _writes(arguments):
        return
    if not isinstance(path, str | bytes | os.PathLike):
        return
    name = os.fsdecode(path)
    for recorder in list(_recorders):
        if name.startswith(f"{recorder.folder}{os.sep}"):
            _recorders.remove(recorder)  # its own copying is no operation of the program
            try:
                recorder.note(event, name)
            finally:
                _recorders.append(recorder)


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
