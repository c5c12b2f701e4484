"""Names of data sets -> processors: built-in ones, and those of code outside this checkout.

A processor comes from outside in three ways: a module named by `--processor_module` that registers it, a class named
`package.module:Class` in place of a task name, or an entry point of an installed package in the group
`bert.processors`. Nothing is imported before it is asked for.
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

from common import user_code
from common.errors import BertError, RegistryError, closest, one_line
from processors.base import DataProcessor

ENTRY_POINT_GROUP = "bert.processors"
PROCESSOR_MODULE = "--processor_module"
XNLI_LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")

Factory = Callable[..., DataProcessor]
"""A `DataProcessor` subclass, or a partial of one: called without arguments it gives a processor."""

ProcessorClass = TypeVar("ProcessorClass", bound=type[DataProcessor])


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Where a name leads: a class, or `"module:object"` that is imported on use."""

    target: type[DataProcessor] | str
    owner: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _built_in(target: str, **options: Any) -> _Entry:
    return _Entry(f"processors.{target}", f"processors.{target.partition(':')[0]} (built in)", options)


_ENTRIES: dict[str, _Entry] = {
    "cola": _built_in("tables.glue:ColaProcessor"),
    "mnli": _built_in("tables.glue:MnliProcessor"),
    "mnli-mm": _built_in("tables.glue:MnliMismatchedProcessor"),
    "mrpc": _built_in("tables.glue:MrpcProcessor"),
    "opinion": _built_in("choices.opinion:OpinionProcessor"),
    "qnli": _built_in("tables.glue:QnliProcessor"),
    "qqp": _built_in("tables.glue:QqpProcessor"),
    "rte": _built_in("tables.glue:RteProcessor"),
    "sst-2": _built_in("tables.glue:Sst2Processor"),
    "sts-b": _built_in("tables.glue:StsbProcessor"),
    "table": _built_in("tables.processor:TableProcessor"),
    "wnli": _built_in("tables.glue:WnliProcessor"),
    "xnli": _built_in("tables.glue:XnliProcessor"),
    **{f"xnli-{language}": _built_in("tables.glue:XnliProcessor", language=language) for language in XNLI_LANGUAGES},
}


def register(name: str) -> Callable[[ProcessorClass], ProcessorClass]:
    """Class decorator that makes a processor known as `--task_name=<name>`.

    Args:
      name: its name; upper and lower case are the same.

    Raises:
      RegistryError: the name is taken, or the class is no `DataProcessor`.

    Example:
      >>> @register("selfsim")
      ... class SelfSimProcessor(DataProcessor): ...
    """
    frame = sys._getframe(1)
    owner = f"{frame.f_code.co_filename}:{frame.f_lineno}"

    def decorate(processor: ProcessorClass) -> ProcessorClass:
        _check_processor(processor, f"{owner}: @register({name!r})")
        _add(name, _Entry(processor, owner))
        return processor

    return decorate


def get(name: str, processor_module: str | None = None) -> Factory:
    """Finds the processor that `name` stands for.

    Args:
      name: a registered name, or `package.module:Class`.
      processor_module: a Python file or dotted module to import first; what it registers is known from then on.

    Returns:
      A `DataProcessor` subclass, or a partial of one.

    Raises:
      RegistryError: an unknown name, a module that cannot be imported, an object that is no `DataProcessor`.
    """
    module = import_module(processor_module) if processor_module else None
    if ":" in name:
        return _load(name, f"--task_name={name}")
    _add_entry_points()
    entry = _ENTRIES.get(name.lower())
    if module is not None and not _is_of(entry, module):
        found = _unregistered(module, name, f"--processor_module={processor_module}")
        if found is not None:
            return found
    if entry is None:
        raise RegistryError(
            f"no task {name!r}; {_suggestion(name.lower())}; for code of your own give "
            "--processor_module=path/to/file.py, --task_name=package.module:Class, or install a package with an entry "
            f"point in the group {ENTRY_POINT_GROUP}"
        )
    processor = _load(entry.target, entry.owner) if isinstance(entry.target, str) else entry.target
    return functools.partial(processor, **entry.options) if entry.options else processor


def made(factory: Factory) -> DataProcessor:
    """The processor that a factory gives.

    Raises:
      RegistryError: its class needs arguments, or fails.
    """
    name = f"{getattr(factory, '__name__', 'processor')}.__init__"
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise RegistryError(
            f"{name}: {error}; a processor is made without arguments; give its parameters defaults"
        ) from None
    try:
        return factory()
    except BertError:
        raise
    except Exception as error:
        raise RegistryError(
            f"{name}: {user_code.place_of(error, __file__)}: {type(error).__name__}: {one_line(error)}; correct the "
            "class (--traceback shows all)"
        ) from error


def names() -> list[str]:
    """All registered names, sorted."""
    _add_entry_points()
    return sorted(_ENTRIES)


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Forgets at the end of a `with` block what was registered in it; for tests."""
    before = dict(_ENTRIES)
    try:
        with user_code.forgotten():
            yield
    finally:
        _restore(before)


@contextlib.contextmanager
def temporary(name: str, processor: type[DataProcessor]) -> Iterator[type[DataProcessor]]:
    """Registers `processor` for the length of a `with` block, in place of what had its name."""
    _check_processor(processor, f"temporary({name!r})")
    with isolated():
        _ENTRIES[name.lower()] = _Entry(processor, f"temporary({name!r})")
        yield processor


def _restore(entries: Mapping[str, _Entry]) -> None:
    _ENTRIES.clear()
    _ENTRIES.update(entries)


def import_module(module: str) -> ModuleType:
    """Imports a Python file or a dotted module for what it registers; a second time is free.

    Raises:
      RegistryError: there is no such module, or it fails while it is imported; then nothing it registered stays.
    """
    before = dict(_ENTRIES)
    try:
        return user_code.import_module(module, PROCESSOR_MODULE)
    except BaseException:
        _restore(before)
        raise


def _unregistered(module: ModuleType, name: str, flag: str) -> type[DataProcessor] | None:
    """The processor of a module that registers none under `name`: of its `processors` dictionary, or its only one.

    Scripts written for google-research/bert have such a dictionary, from task names to classes.

    Raises:
      RegistryError: there is no telling which class is meant.
    """
    found = _of_dictionary(module, name)
    if found is not None:
        _check_processor(found, f"{flag}: processors[{name!r}]")
        return found
    own = [value for value in vars(module).values() if _is_processor(value) and value.__module__ == module.__name__]
    registered = {entry.target: known for known, entry in _ENTRIES.items()}
    classes = [value for value in own if value not in registered]
    entry = _ENTRIES.get(name.lower())
    if entry is None and len(own) == 1:
        classes = own  # which may have registered another name
    if entry is None and own and not classes:
        theirs = ", ".join(registered[value] for value in own)
        raise RegistryError(f"{flag} registers {theirs}, and no {name!r}; give --task_name with one of them")
    if not classes or (entry is not None and not entry.owner.endswith("(built in)")):
        return None
    known = ", ".join(value.__name__ for value in classes)
    if entry is not None:
        raise RegistryError(
            f"{flag} defines {known}, but --task_name={name} is built in; give another task name for your class"
        )
    if len(classes) == 1:
        only: type[DataProcessor] = classes[0]
        return only
    raise RegistryError(
        f"{flag} defines {known}, and none is called {name!r}; register one with @register({name!r}), or put it into a "
        f"dictionary of the file: processors = {{{name!r}: {classes[0].__name__}}}"
    )


def _of_dictionary(module: ModuleType, name: str) -> type[DataProcessor] | None:
    """What the dictionary `processors` of a module has under a name, upper and lower case being the same."""
    named = getattr(module, "processors", None)
    if not isinstance(named, Mapping) or not all(isinstance(key, str) for key in named):
        return None
    return {key.lower(): value for key, value in named.items()}.get(name.lower())


def _is_of(entry: _Entry | None, module: ModuleType) -> bool:
    """Whether a module itself has registered an entry."""
    return entry is not None and isinstance(entry.target, type) and entry.target.__module__ == module.__name__


def _is_processor(value: object) -> bool:
    """Whether a class is a processor: derived from ours, or with upstream's methods."""
    if not isinstance(value, type):
        return False
    return issubclass(value, DataProcessor) or all(
        callable(getattr(value, method, None)) for method in ("get_labels", "get_train_examples", "get_dev_examples")
    )


def _load(target: str, owner: str) -> type[DataProcessor]:
    """The class that `"module:object"` names."""
    found = user_code.attribute(target, owner)
    _check_processor(found, owner)
    processor: type[DataProcessor] = found
    return processor


def _check_processor(processor: object, owner: str) -> None:
    if not _is_processor(processor):
        kind = f"class {processor.__name__}" if isinstance(processor, type) else type(processor).__name__
        raise RegistryError(f"{owner}: found {kind}, expected a subclass of processors.DataProcessor; derive from it")


def _add(name: str, entry: _Entry) -> None:
    """Adds an entry; the same place may register again, as when a file is imported under two module names."""
    known = _ENTRIES.get(name.lower())
    if known is not None and known.owner != entry.owner:
        raise RegistryError(
            f"task {name.lower()!r} is registered twice: by {known.owner} and by {entry.owner}; rename one of them"
        )
    _ENTRIES[name.lower()] = entry


def _add_entry_points() -> None:
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        package = point.dist.name if point.dist is not None else point.value
        _add(point.name, _Entry(point.value, f"entry point {point.name} = {point.value} of {package}"))


def _suggestion(name: str) -> str:
    known = names()
    near = closest(name, known)
    everything = "known: " + ", ".join(known)
    return everything if near == everything else f"{near}; {everything}"
