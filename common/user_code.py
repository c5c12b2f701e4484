"""Code of other people: files and modules that a command names, the classes in them, and entry points.

Nothing is imported that the command itself does not name.
"""

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import BertError, RegistryError, closest, one_line

_MODULES: dict[Path, ModuleType] = {}
"""Files that were imported."""


def is_file(module: str) -> bool:
    """Whether a module is named by its file."""
    return module.endswith(".py") or "/" in module or "\\" in module


def import_module(module: str, flag: str) -> ModuleType:
    """Imports a Python file or a dotted module; a second time is free.

    Args:
      module: path of a file, or dotted name.
      flag: that names it, for messages.

    Raises:
      RegistryError: there is no such module, or it fails while it is imported.
    """
    try:
        return _import_file(Path(module), flag) if is_file(module) else importlib.import_module(module)
    except BaseException as error:
        # A name that a module imports and that is not there is the module's mistake, whoever says so.
        is_ours = isinstance(error, BertError) and not isinstance(error, ImportError | AttributeError)
        if is_ours or not isinstance(error, Exception | SystemExit):
            raise
        raise RegistryError(_import_failure(f"{flag}={module}", "" if is_file(module) else module, error)) from error


def attribute(target: str, owner: str) -> Any:
    """The object that `"package.module:name"` names.

    Args:
      target: the name.
      owner: where it stands, for messages.

    Raises:
      RegistryError: the module cannot be imported, or has no such object.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise RegistryError(f"{owner}: expected package.module:Class")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise RegistryError(_import_failure(owner, module, error)) from error
    return _named(found, name, owner)


def find_class(text: str, flag: str, fits: Callable[[Any], bool], what: str, group: str) -> Any:
    """The class of the user's that a flag names.

    Args:
      text: `path/to/file.py` with one class that fits, `path/to/file.py:Class`, `package.module:Class`, or the name of
        an entry point.
      flag: with its dashes, for messages; or the script whose argument it is.
      fits: whether an object is such a class.
      what: the classes that fit, for messages.
      group: of entry points of installed packages.

    Raises:
      RegistryError: there is none, several, or one that does not fit.
    """
    where = f"{flag}={text}" if flag.startswith("-") else f"{flag}: {text}"
    path, _, name = text.rpartition(":") if is_file(text.rpartition(":")[0]) else (text, "", "")
    if is_file(path):
        module = import_module(path, flag)
        found = _named(module, name, where) if name else _only(module, fits, where, what)
    elif ":" in text:
        found = attribute(text, where)
    else:
        points = {point.name: point.value for point in importlib.metadata.entry_points(group=group)}
        if text not in points:
            raise RegistryError(
                f"{where}: not found; expected path/to/file.py:Class, package.module:Class, or an entry point of the "
                f"group {group} ({closest(text, points)})"
            )
        found = attribute(points[text], where)
    if not fits(found):
        kind = f"class {found.__name__}" if isinstance(found, type) else type(found).__name__
        raise RegistryError(f"{where}: found {kind}, expected {what}; derive from it")
    return found


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Forgets at the end of a `with` block which files were imported in it; for tests."""
    before = dict(_MODULES)
    try:
        yield
    finally:
        _MODULES.clear()
        _MODULES.update(before)


def _import_file(path: Path, flag: str) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise RegistryError(
            f"{flag}={path}: no such file; expected a Python file, or a dotted module on the import path"
        )
    if path in _MODULES:
        return _MODULES[path]
    name = f"{flag.strip('-')}_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RegistryError(f"{flag}={path}: is not Python; expected a file that ends in .py")
    if str(path.parent) not in sys.path:  # last: its neighbours can be imported and shadow nothing
        sys.path.append(str(path.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _MODULES[path] = module
    return module


def _only(module: ModuleType, fits: Callable[[Any], bool], where: str, what: str) -> Any:
    """The one class that a module itself defines and that fits."""
    found = [one for one in vars(module).values() if fits(one) and one.__module__ == module.__name__]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.__name__ for one in found)
    if found:
        raise RegistryError(f"{where}: defines {names}; name one of them, as in {where}:{found[0].__name__}")
    raise RegistryError(f"{where}: defines no {what.removeprefix('a ')}; define one, or give another file")


def _named(module: ModuleType, name: str, owner: str) -> Any:
    if not hasattr(module, name):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        shown = getattr(module, "__file__", None) if is_file(owner) else f"module {module.__name__}"
        raise RegistryError(f"{owner}: {shown} has no {name!r}; {closest(name, classes)}")
    return getattr(module, name)


def _import_failure(where: str, module: str, error: BaseException) -> str:
    """One line with the innermost line of user code that failed."""
    kind = "" if isinstance(error, BertError) else f"{type(error).__name__}: "
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"{where}: no module {error.name!r} on the import path; expected a .py file or a dotted module"
    if isinstance(error, SyntaxError):
        return f"{where}: {error.filename}:{error.lineno}: {kind}{one_line(error.msg)}; correct the module"
    place = place_of(error)
    return f"{where}: {place + ': ' if place else ''}{kind}{one_line(error, 300)}; correct the module"


def place_of(error: BaseException, *without: str) -> str:
    """File and line of the innermost code that failed.

    Args:
      error: what was raised.
      without: files that only pass errors on; this one, the import system's, and that of the error itself are some.
    """
    raised_by = getattr(sys.modules.get(type(error).__module__), "__file__", None)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
        and frame.filename not in (__file__, raised_by, *without)
        and "importlib" not in frame.filename
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
