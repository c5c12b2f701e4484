"""Paths with a scheme (`gs://`, `s3://`, `hdfs://`, `ram://`) as `pathlib` has those of the system.

TensorFlow's file systems answer for them, and TensorFlow is imported only where a path has a scheme. What an object
store does not give is left out: no lock, no flush to a disk, no folder that is there without files, and a rename that
copies.
"""

import contextlib
import errno
import fnmatch
import importlib
import io
import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import IO, Any

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_COLLAPSED = re.compile(r"([a-z][a-z0-9+.-]*):/(?!/)")


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path has a scheme."""
    return _SCHEME.match(os.fspath(path)) is not None


def path_of(text: str | os.PathLike[str]) -> Path:
    """The path of a text: one of TensorFlow's file systems where it has a scheme, else the system's.

    >>> str(path_of("gs://bucket/runs") / "a")
    'gs://bucket/runs/a'
    """
    if isinstance(text, RemotePath):
        return text
    return RemotePath(os.fspath(text)) if is_remote(text) else Path(text)


class RemotePath(PosixPath):
    """A path with a scheme. Errors of TensorFlow's file systems are those that the system's paths raise."""

    def __str__(self) -> str:
        return _COLLAPSED.sub(r"\1://", super().__str__(), count=1)

    def __fspath__(self) -> str:
        return str(self)

    def resolve(self, strict: bool = False) -> "RemotePath":
        """The path itself: there are no links."""
        del strict
        return self

    def absolute(self) -> "RemotePath":
        """The path itself."""
        return self

    def exists(self) -> bool:
        """Whether a file or folder is there."""
        with _errors(self):
            return bool(_gfile(self).exists(str(self)))

    def is_dir(self) -> bool:
        """Whether a folder is there."""
        with _errors(self):
            return bool(_gfile(self).isdir(str(self)))

    def is_file(self) -> bool:
        """Whether a file is there."""
        return self.exists() and not self.is_dir()

    def is_symlink(self) -> bool:
        """Never."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Size and time of change."""
        del follow_symlinks
        with _errors(self):
            found = _gfile(self).stat(str(self))
        return SimpleNamespace(st_size=found.length, st_mtime_ns=found.mtime_nsec, st_mtime=found.mtime_nsec / 1e9)

    def iterdir(self) -> Generator["RemotePath", None, None]:
        """Files and folders in the folder."""
        with _errors(self):
            names = {name.rstrip("/") for name in _gfile(self).listdir(str(self))}
        yield from (self / name for name in sorted(names - {""}))

    def glob(self, pattern: str) -> Generator["RemotePath", None, None]:
        """Those in the folder whose names a pattern of one part matches."""
        if "/" in pattern or not self.is_dir():
            return
        yield from (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def rglob(self, pattern: str) -> Generator["RemotePath", None, None]:
        """Those below the folder whose names match."""
        for path in self.iterdir() if self.is_dir() else ():
            if fnmatch.fnmatchcase(path.name, pattern):
                yield path
            if path.is_dir():
                yield from path.rglob(pattern)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the folder and those above it."""
        del mode, parents
        if not exist_ok and self.exists():
            raise FileExistsError(f"{self} is there")
        with _errors(self):
            _gfile(self).makedirs(str(self))

    def rmdir(self) -> None:
        """Removes an empty folder.

        Raises:
          OSError: it is not empty.
        """
        if self.is_dir() and any(self.iterdir()):
            raise OSError(f"{self} is not empty")
        with _errors(self):
            _gfile(self).rmtree(str(self))

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes a file."""
        try:
            with _errors(self):
                _gfile(self).remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rename(self, target: Any) -> Any:
        """Moves a file to a name, in place of what was there: an object store copies and removes."""
        with _errors(self):
            _gfile(self).rename(str(self), str(target), overwrite=True)
        return target

    def replace(self, target: Any) -> Any:
        """As `rename`."""
        return self.rename(target)

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Opens the file; what is appended is written together with what was there, as the file is closed."""
        del buffering
        with _errors(self):
            binary: IO[Any] = self._binary(mode)
        if "b" in mode:
            return binary
        return io.TextIOWrapper(binary, encoding or "utf-8", errors, newline)

    def _binary(self, mode: str) -> Any:
        if "a" in mode or "+" in mode:
            return _Appended(self)
        stream = _Stream(self, "wb" if "w" in mode else "rb")
        return io.BufferedWriter(stream) if "w" in mode else io.BufferedReader(stream)


class _Stream(io.RawIOBase):
    """A file of TensorFlow's as Python's raw stream."""

    def __init__(self, path: RemotePath, mode: str) -> None:
        super().__init__()
        self._path, self._is_written = path, mode == "wb"
        self._handle = _gfile(path).GFile(str(path), mode)
        if self._is_written:
            self._handle.write(b"")
        elif not _gfile(path).exists(str(path)):
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))

    def readable(self) -> bool:
        return not self._is_written

    def writable(self) -> bool:
        return self._is_written

    def seekable(self) -> bool:
        return not self._is_written

    def readinto(self, buffer: Any) -> int:
        with _errors(self._path):
            found = self._handle.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def write(self, data: Any) -> int:
        content = bytes(data)
        with _errors(self._path):
            self._handle.write(content)
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _errors(self._path):
            self._handle.seek(offset, whence)
            return int(self._handle.tell())

    def tell(self) -> int:
        with _errors(self._path):
            return int(self._handle.tell())

    def close(self) -> None:
        if not self.closed:
            with _errors(self._path):
                self._handle.close()
        super().close()


class _Appended(io.BytesIO):
    """A whole file in memory, at its end, which is written as it is closed."""

    def __init__(self, path: RemotePath) -> None:
        super().__init__(path.read_bytes() if path.exists() else b"")
        self.seek(0, os.SEEK_END)
        self._path = path

    def write(self, data: Any) -> int:
        self.seek(0, os.SEEK_END)
        return super().write(data)

    def close(self) -> None:
        if not self.closed:
            self._path.write_bytes(self.getvalue())
        super().close()


def remove_tree(folder: Path) -> None:
    """Removes a folder with all that is in it, as far as that is possible."""
    if not isinstance(folder, RemotePath):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError), _errors(folder):
        _gfile(folder).rmtree(str(folder))


def copy_file(source: Path, target: Path) -> None:
    """Copies the content of a file, whichever of both are remote.

    Raises:
      OSError: one cannot be read, or the other not be written.
    """
    if not (isinstance(source, RemotePath) or isinstance(target, RemotePath)):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as content, target.open("wb") as copy:
        shutil.copyfileobj(content, copy, 1 << 20)


def _gfile(path: Path) -> Any:
    """TensorFlow's functions on files, once there are some for a path.

    Raises:
      OSError: there are none for its scheme.
    """
    import tensorflow as tf

    scheme = str(path).partition("://")[0]
    if scheme not in tf.io.gfile.get_registered_schemes():
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorflow_io")  # brings further file systems
        if scheme not in tf.io.gfile.get_registered_schemes():
            raise OSError(
                errno.ENOSYS, f"TensorFlow has no file system for {scheme}://; install tensorflow-io", str(path)
            )
    return tf.io.gfile


@contextlib.contextmanager
def _errors(path: RemotePath) -> Iterator[None]:
    """Raises the system's errors in place of TensorFlow's."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "No such file or folder", str(path)) from error
    except tf.errors.PermissionDeniedError as error:
        raise PermissionError(errno.EACCES, "Permission denied", str(path)) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, " ".join(str(error.message).split())[:200], str(path)) from error
