"""Files that are whole or absent: written under a temporary name, flushed to the disk, and renamed at the end."""

import atexit
import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from common.errors import DataError
from common.paths import copy_file, is_remote

_JSON_NAMES = {list: "array", str: "string", bool: "boolean", type(None): "null"}
_PATTERN = re.compile(r"[*?\[\]\\]")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
      OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[IO[str]]:
    """Opens a UTF-8 text file that appears at `path` only once the block has ended well.

    Raises:
      DataError: the disk is full or the folder cannot be written to.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream


def csv_row(cells: Iterable[Any]) -> str:
    """One line of a comma-separated table; cells with quotes, commas or any kind of line break are quoted.

    The `csv` module of Python 3.11 leaves a lone carriage return unquoted where lines end at a line feed, and readers
    then see two rows.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()[:-2] + "\n"


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a temporary name for a file that is renamed to `path` only once the block has ended well.

    The content is on the disk before the rename, so that not even a power loss leaves half a file under the name.

    Raises:
      DataError: the disk is full or the folder cannot be written to.
    """
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            rename_durably(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def rename_durably(temporary: Path, path: Path) -> None:
    """Renames a file to its final name, in place of what was there, once its content is on the disk.

    Raises:
      OSError: the disk is full or broken, or the file cannot be renamed.
    """
    sync_file(temporary)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Waits until the content of a file is on the disk.

    A file with a scheme is as safe as its store makes it, once it is closed.

    Raises:
      OSError: the disk is full or broken.
    """
    if is_remote(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, on systems that can open a folder."""
    with contextlib.suppress(OSError):
        sync_file(folder)


def sync_tree(folder: Path) -> None:
    """Waits until everything below a folder is on the disk.

    Raises:
      OSError: the disk is full or broken.
    """
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            sync_file(path)
    sync_folder(folder)


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


def json_object(content: bytes) -> dict[str, Any]:
    """Parses a small JSON file that holds an object, whatever it holds.

    Raises:
      ValueError: it holds something else; the message completes "the file ...".
    """
    try:
        found = json.loads(content)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"holds a JSON {_JSON_NAMES.get(type(found), 'number')}, expected an object")
    return found


def copy_atomically(source: Path, path: Path) -> None:
    """Copies a file, which appears at `path` as a whole; raises DataError as `atomic_writer` does."""
    with atomic_path(path) as temporary:
        copy_file(source, temporary)


def without_pattern(folder: str | os.PathLike[str]) -> str:
    """The folder under a name without characters that a pattern is made of: `*`, `?`, `[`, `]` and the backslash.

    TensorFlow looks for the files of a checkpoint by patterns, even where it is given an exact name: in a folder named
    `run[1]` it finds nothing. A link in a temporary folder, removed at exit, leads to such a folder.

    Returns:
      The folder itself where its name has no such character, else a link to it.
    """
    name = os.fspath(folder)
    if is_remote(name) or not _PATTERN.search(name):
        return name
    return _link_to(str(Path(name).absolute()))


@functools.cache
def _link_to(folder: str) -> str:
    parent = tempfile.mkdtemp(prefix="bert_link_")
    atexit.register(shutil.rmtree, parent, ignore_errors=True)  # removes the link, not what it leads to
    link = Path(parent) / "folder"
    link.symlink_to(folder, target_is_directory=True)
    return str(link)
