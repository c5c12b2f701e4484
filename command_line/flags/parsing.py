"""Declared flags -> absl flags -> a namespace of values."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from absl import flags as absl_flags

from command_line.flags.declaration import Flag, FlagSet
from common.errors import FlagError, closest


def parse(argv: Sequence[str], declared: FlagSet) -> SimpleNamespace:
    """Values by name, and under `given` the names of the flags on the command line or in a `--flagfile`.

    Args:
      argv: command line, program name first.
      declared: the flags of the script.

    Raises:
      FlagError: an unknown flag, a value that cannot be used, or an argument that is no flag.
    """
    values = absl_flags.FlagValues()
    for flag in declared:
        define(values, flag)
    try:
        rest = values(list(argv))
    except absl_flags.Error as error:
        raise FlagError(f"{error}; run with --helpfull for all flags") from None
    if len(rest) > 1:
        raise FlagError(f"unexpected argument {rest[1]!r}; expected flags only, as in --flag=value")
    parsed = {flag.name: _expanded(flag, values[flag.name].value) for flag in declared}
    return SimpleNamespace(**parsed, given={flag.name for flag in declared if values[flag.name].present})


def from_values(given: Mapping[str, Any], declared: FlagSet) -> SimpleNamespace:
    """As `parse`, from values of Python: None is not given, a list is joined by commas, a path is its text.

    Raises:
      FlagError: an unknown flag, or a value that cannot be used.
    """
    known = [flag.name for flag in declared]
    arguments = []
    for name, value in given.items():
        if name not in known:
            raise FlagError(f"no flag {name!r}; {closest(name, known)}")
        if isinstance(value, bool):
            arguments.append(f"--{name}" if value else f"--no{name}")
        elif value is not None:
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            arguments.append(f"--{name}={text}")
    return parse(["python", *arguments], declared)


def define(values: absl_flags.FlagValues, flag: Flag) -> None:
    """Defines a flag on absl's values, never on its global ones."""
    common: dict[str, Any] = {"flag_values": values}
    if flag.is_repeated:
        absl_flags.DEFINE_multi_string(flag.name, flag.default, flag.help, **common)
    elif isinstance(flag.type, tuple):
        absl_flags.DEFINE_enum(flag.name, flag.default, list(flag.type), flag.help, **common)
    elif flag.type is bool:
        absl_flags.DEFINE_bool(flag.name, flag.default, flag.help, **common)
    elif flag.type is int:
        absl_flags.DEFINE_integer(flag.name, flag.default, flag.help, flag.minimum, flag.maximum, **common)
    elif flag.type is float:
        absl_flags.DEFINE_float(flag.name, flag.default, flag.help, flag.minimum, flag.maximum, **common)
    else:
        absl_flags.DEFINE_string(flag.name, flag.default, flag.help, **common)


def _expanded(flag: Flag, value: Any) -> Any:
    """A path with its `~` expanded, whatever the shell did not expand in `--flag=~/x`; lists of paths, too."""
    if flag.is_repeated:
        return tuple(value or ())
    if not flag.is_path or not isinstance(value, str) or "~" not in value:
        return value
    return ",".join(str(Path(part).expanduser()) if part.startswith("~") else part for part in value.split(","))
