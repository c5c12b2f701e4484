"""What earlier commands in an output directory mean for the flags of this one; see `command_line.flags.declaration`."""

import logging
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.flags.declaration import Flag, FlagSet, Scope
from command_line.flags.help import shown
from command_line.remote_files import as_given
from common.errors import FlagError, RunDirectoryError, one_line
from common.run_directory import RUN_FILE, RunDirectory

log = logging.getLogger(__name__)


def settle(flags: SimpleNamespace, declared: FlagSet, directory: RunDirectory) -> SimpleNamespace:
    """Flags as this command gives them, else as the run in `--output_dir` recorded them, else their defaults.

    Args:
      flags: values by name, and `given`, the names on the command line.
      declared: the flags of the script.
      directory: the output directory.

    Returns:
      The flags; `given` also has the names whose values were recorded, `typed` has not.

    Raises:
      RunDirectoryError: a fixed flag contradicts the run, or a recorded value cannot be used.
      FlagError: the run was made with code that this command does not name.
    """
    description = directory.description() or {}
    recorded = description.get("flags", {})
    identity = description.get("identity", {})
    taken: dict[str, Any] = {}
    for flag in declared:
        if flag.scope is Scope.FREE or flag.name not in recorded:
            continue
        value = _checked(flag, recorded[flag.name], directory)
        if flag.name not in flags.given:
            taken[flag.name] = _not_code(flag, value, directory)
        elif _binds(flag, flags, directory) and not flag.same(as_given(flags, flag.name), value, identity):
            raise _contradiction(flag, as_given(flags, flag.name), value, directory)
    told = [flag for flag in declared if flag.name in taken and taken[flag.name] != flag.default]
    if told:
        log.info("from %s: %s", directory.path / RUN_FILE, " ".join(_as_given(f, taken[f.name]) for f in told))
    return SimpleNamespace(**{**vars(flags), **taken, "given": flags.given | taken.keys(), "typed": flags.given})


def check_export(flags: SimpleNamespace, declared: FlagSet, directory: RunDirectory, export: Path) -> None:
    """Compares the flags of a command that is answered by a finished export with those that the export was made by.

    Args:
      flags: before `settle`.
      declared: the flags of the script.
      directory: the output directory.
      export: one of its exports.

    Raises:
      RunDirectoryError: a fixed flag contradicts the run.
      FlagError: a flag would have to change the export.
    """
    description = directory.description() or {}
    recorded, identity = description.get("flags", {}), description.get("identity", {})
    for flag in declared:
        if flag.name not in flags.given or flag.name not in recorded or flag.scope is Scope.FREE:
            continue
        given, value = as_given(flags, flag.name), _checked(flag, recorded[flag.name], directory)
        if flag.same(given, value, identity):
            continue
        if _binds(flag, flags, directory):
            raise _contradiction(flag, given, value, directory)
        if flag.in_export or (flag.scope is Scope.FIXED and not flag.decides_rows):
            raise FlagError(
                f"{_as_given(flag, given)}: standard input is answered by {export}, which was made with "
                f"{_as_given(flag, value)}; leave it out, or add --do_export to make another"
            )


def to_record(flags: SimpleNamespace, declared: Iterable[Flag], directory: RunDirectory) -> dict[str, Any]:
    """Values for `run.json`: what a command that trains used; before any training, what the last command used.

    Args:
      flags: after `settle`.
      declared: the flags of the script.
      directory: the output directory, before this command changes it.
    """
    recorded = dict((directory.description() or {}).get("flags", {}))
    if directory.is_trained() and not flags.do_train:
        return recorded
    return recorded | {flag.name: as_given(flags, flag.name) for flag in declared if flag.scope is not Scope.FREE}


def in_common(flags: SimpleNamespace, declared: Iterable[Flag]) -> dict[str, Any]:
    """What the machines of a cluster must have alike: every flag but paths and code, which each finds in its own place.

    Args:
      flags: after `settle`.
      declared: the flags of the script.
    """
    own = {"num_workers", "cluster_timeout", "log_every_n_steps"}
    alike = [flag.name for flag in declared if not (flag.is_path or flag.names_code or flag.name in own)]
    return {f"--{name}": as_given(flags, name) for name in alike} | {"TensorFlow": version("tensorflow")}


def _binds(flag: Flag, flags: SimpleNamespace, directory: RunDirectory) -> bool:
    """Whether a recorded value holds for this command."""
    if flag.scope is not Scope.FIXED or not directory.is_trained():
        return False
    return not flag.decides_rows or bool(flags.do_train or flags.do_eval)


def _contradiction(flag: Flag, given: Any, recorded: Any, directory: RunDirectory) -> RunDirectoryError:
    what, elsewhere = "cannot change within a run", "choose another --output_dir"
    if flag.decides_rows:
        what = "decides which rows it trained and evaluated on"
        elsewhere = f"evaluate other rows in another --output_dir with --init_checkpoint={directory.path}"
    return RunDirectoryError(
        f"{_as_given(flag, given)} contradicts --output_dir={directory.path}, which was trained with "
        f"{_as_given(flag, recorded)}; this flag {what}; leave it out, or {elsewhere}"
    )


def _not_code(flag: Flag, value: Any, directory: RunDirectory) -> Any:
    """A recorded value, unless it names code: a file must not decide what is run."""
    if flag.names_code is None or not value or not flag.names_code(value):
        return value
    raise FlagError(
        f"--output_dir={directory.path} was made with --{flag.name}={value}; code runs only if the command names it: "
        f"give --{flag.name} again"
    )


def _checked(flag: Flag, value: Any, directory: RunDirectory) -> Any:
    kinds = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}
    allowed = (str,) if isinstance(flag.type, tuple) else kinds[flag.type]
    is_one = isinstance(value, allowed) and (isinstance(value, bool) == (flag.type is bool))
    if value is None or (is_one and (not isinstance(flag.type, tuple) or value in flag.type)):
        return value
    expected = " or ".join(flag.type) if isinstance(flag.type, tuple) else flag.type.__name__
    raise RunDirectoryError(
        f"{directory.path / RUN_FILE}: flags.{flag.name} is {one_line(repr(value), 40)}, expected {expected}; "
        f"give --{flag.name}, or restore the file"
    )


def _as_given(flag: Flag, value: Any) -> str:
    if value is None:
        return f"no --{flag.name}"
    return f"--{flag.name}={shown(value)}"
