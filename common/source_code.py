"""The Python source that decides what a class does, for fingerprints: editing it makes records anew."""

import functools
import hashlib
import inspect
import sys
import sysconfig
import traceback
from pathlib import Path

_OURS = Path(__file__).resolve().parent.parent
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))


def source_digest(*classes: type) -> str | None:
    """Digest of the files that define classes, their bases, and the modules beside them that are imported.

    Args:
      classes: any classes.

    Returns:
      None where all of it belongs to this project or to installed packages, whose versions stand for them.
    """
    own = {path for cls in classes for path in map(_file_of, cls.__mro__) if path is not None}
    if not own:
        return None
    folders = {path.parent for path in own}
    loaded = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    beside = {path for name in loaded if name and (path := _resolved(name)).parent in folders and _is_user(path)}
    digest = hashlib.sha256()
    for file in sorted(own | beside, key=lambda file: file.name):
        digest.update(f"{file.name}:".encode())
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


# A process has thousands of modules, and asks for each of its record sets.
@functools.cache
def _resolved(name: str) -> Path:
    return Path(name).resolve()


def is_users(cls: type) -> bool:
    """Whether a class, or one of its bases, was written outside this project and outside installed packages."""
    return any(_file_of(base) is not None for base in cls.__mro__)


def users_place(error: BaseException) -> str | None:
    """File and line of the innermost frame of an error that is in code of the user's; None where there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_user(Path(frame.filename).resolve())]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None


def _file_of(cls: type) -> Path | None:
    """The file of a user's class; None for any other class."""
    try:
        name = inspect.getfile(cls)
    except (TypeError, OSError):  # built in, or its module is not among the imported ones
        functions = (getattr(value, "__func__", value) for value in vars(cls).values())
        codes = (getattr(function, "__code__", None) for function in functions)
        name = next((code.co_filename for code in codes if code is not None), "")
    path = Path(name).resolve()
    return path if path.is_file() and _is_user(path) else None


def _is_user(path: Path) -> bool:
    if any(path.is_relative_to(folder) for folder in _INSTALLED):
        return False
    examples_and_tests = any(path.is_relative_to(_OURS / name) for name in ("examples", "tests"))
    return examples_and_tests or not path.is_relative_to(_OURS)
