"""Files that are whole or absent: written under a temporary name and renamed at the end."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from common.errors import DataError


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[IO[str]]:
    """Opens a UTF-8 text file that appears at `path` only once the block has ended well.

    Raises:
      DataError: the disk is full or the folder cannot be written to.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a temporary name for a file that is renamed to `path` only once the block has ended well.

    Raises:
      DataError: the disk is full or the folder cannot be written to.
    """
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names the file that a block cannot write.

    Raises:
      DataError: the disk is full or the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); free disk space or check permissions"
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Writes a whole text file at once; raises DataError as `atomic_writer` does."""
    with atomic_writer(path) as stream:
        stream.write(text)
