"""What a flag is: declared once, with everything that the command line, `run.json`, help and documents need of it."""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from common.user_code import is_file

Value = str | int | float | bool | None


class Scope(enum.Enum):
    """What a flag means to later commands in the same output directory."""

    FIXED = "fixed"
    """All commands agree: one that gives another value is refused, one that gives none uses the recorded value."""
    REMEMBERED = "remembered"
    """A later command uses the recorded value unless it gives its own; the log says so."""
    FREE = "free"
    """Each command stands for itself."""


def equal(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether two values of a flag are the same."""
    del identity
    return bool(given == recorded)


def same_path(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether two paths lead to the same place, or to files with the same content."""
    del identity
    if given is None or recorded is None:
        return bool(given == recorded)
    first, second = Path(given), Path(recorded)
    if first.resolve() == second.resolve():
        return True
    if not (first.is_file() and second.is_file()) or first.stat().st_size != second.stat().st_size:
        return False
    return first.read_bytes() == second.read_bytes()


def same_code(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether two values lead to the same class; each is `path/to/file.py`, one with `:Class`, or a dotted name."""
    first, second = (str(value or "").rpartition(":") for value in (given, recorded))
    if not (is_file(first[0] or first[2]) and is_file(second[0] or second[2])):
        return bool(given == recorded)
    names = [part[2] if part[0] else "" for part in (first, second)]
    paths = [part[0] or part[2] for part in (first, second)]
    return names[0] == names[1] and same_path(paths[0], paths[1], identity)


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
      name: as on the command line, without dashes.
      type: `str`, `int`, `float`, `bool`, or a tuple of the values that are allowed.
      default: value where it is not given; None where there is none.
      help: one plain sentence or two.
      scope: what later commands do with it.
      minimum: smallest value.
      maximum: largest value.
      is_path: a `~` at its start is the home folder.
      is_main: `--help` shows it; `--helpfull` shows all.
      is_repeated: may be given several times; its value is the tuple of what was given.
      decides_rows: which rows are trained and evaluated. A command that only predicts or exports may give another
        value, and its value is not recorded.
      in_export: exports are made by its value, so that a finished one does not answer a command that gives another.
      names_code: whether a value names Python code to run. Such a value is never taken from a file: a later command
        gives it again.
      same: whether a given and a recorded value agree, for `Scope.FIXED`; the third argument is the identity of the
        run.
    """

    name: str
    type: type | tuple[str, ...]
    default: Value
    help: str
    scope: Scope
    minimum: float | None = None
    maximum: float | None = None
    is_path: bool = False
    is_main: bool = False
    is_repeated: bool = False
    decides_rows: bool = False
    in_export: bool = False
    names_code: Callable[[str], bool] | None = None
    same: Callable[[Any, Any, Any], bool] = equal

    def changed(self, **differences: Any) -> "Flag":
        """The flag with another default, help or scope."""
        return dataclasses.replace(self, **differences)

    def __post_init__(self) -> None:
        if self.is_path and self.same is equal:
            object.__setattr__(self, "same", same_path)


@dataclasses.dataclass(frozen=True)
class Group:
    """Flags that belong together in help and documents.

    Args:
      title: heading.
      flags: in the order of the help.
    """

    title: str
    flags: tuple[Flag, ...]

    def names(self) -> list[str]:
        """Names of the flags."""
        return [flag.name for flag in self.flags]

    def __getitem__(self, name: str) -> Flag:
        self._require((name,))
        return next(flag for flag in self.flags if flag.name == name)

    def only(self, *names: str) -> "Group":
        """The group with these flags alone."""
        return dataclasses.replace(self, flags=tuple(flag for flag in self.flags if self._is_one(flag, names)))

    def plus(self, *flags: Flag) -> "Group":
        """The group with further flags at its beginning."""
        return dataclasses.replace(self, flags=(*flags, *self.flags))

    def without(self, *names: str) -> "Group":
        """The group without these flags."""
        return dataclasses.replace(self, flags=tuple(flag for flag in self.flags if not self._is_one(flag, names)))

    def changed(self, name: str, **differences: Any) -> "Group":
        """The group with another default, help or scope of a flag, for one script."""
        self._require((name,))
        flags = (flag.changed(**differences) if flag.name == name else flag for flag in self.flags)
        return dataclasses.replace(self, flags=tuple(flags))

    def _is_one(self, flag: Flag, names: tuple[str, ...]) -> bool:
        self._require(names)
        return flag.name in names

    def _require(self, names: Iterable[str]) -> None:
        unknown = set(names) - set(self.names())
        if unknown:
            raise ValueError(f"group {self.title!r} has no flag {sorted(unknown)[0]!r}")


@dataclasses.dataclass(frozen=True)
class FlagSet:
    """All flags of a script.

    Args:
      groups: in the order of the help.
    """

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        names = [flag.name for flag in self]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"declared twice: {', '.join(sorted(twice))}")

    def __iter__(self) -> Iterator[Flag]:
        return (flag for group in self.groups for flag in group.flags)

    def __getitem__(self, name: str) -> Flag:
        return next(flag for flag in self if flag.name == name)


def default_of(settings: type, field: str) -> Any:
    """The default of a dataclass field, so that a flag does not repeat it."""
    found = next(one for one in dataclasses.fields(settings) if one.name == field)
    if found.default is dataclasses.MISSING:
        raise ValueError(f"{settings.__name__}.{field} has no default")
    return found.default
