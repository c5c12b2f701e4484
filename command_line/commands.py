"""A command as `run.json` keeps it: every flag, and digests of all that it reads."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.flags.declaration import Flag, FlagSet
from command_line.model_files import ModelFiles
from command_line.remote_files import as_given, is_made_here, original
from common import command_records
from common.errors import CheckpointError, RunDirectoryError, one_line
from common.paths import is_remote
from common.run_directory import RunDirectory
from common.user_code import is_file
from modeling.checkpoints.locate import files_of, find_beside
from processors.records.manifests import read_manifest_of
from tasks.base import TRAIN, Task

log = logging.getLogger(__name__)

OUTPUT_DIR = "output_dir"

_OWN = {OUTPUT_DIR, "traceback", "num_seeds"}
"""Flags that say where a run is or how it speaks, not what it is."""


def same(flags: SimpleNamespace, declared: FlagSet) -> dict[str, Any]:
    """What makes two commands the same: the script, and the flags that are on the command line."""
    typed = getattr(flags, "typed", flags.given)
    given = [
        one for flag in declared if flag.name in typed - _OWN for one in as_arguments(flag, as_given(flags, flag.name))
    ]
    return {"program": list(flags.program), "given": given}


def refuse_other_script(program: Sequence[str], directory: RunDirectory) -> None:
    """Refuses an output directory that another script of this project made.

    Args:
      program: the script, as `TaskScript.program` names it.
      directory: the output directory.

    Raises:
      RunDirectoryError: its run is one of another task.
    """
    listed = (directory.description() or {}).get(command_records.KEY) or [{}]
    made_by = listed[0].get("program")
    is_one = isinstance(made_by, list) and len(made_by) == len(program) == 1
    if is_one and made_by != list(program) and directory.is_trained():
        raise RunDirectoryError(
            f"--output_dir={directory.path} is a run of {one_line(str(made_by[0]), 60)}, and this is {program[0]}; "
            "go on with that script, or choose another --output_dir"
        )


def begun(
    flags: SimpleNamespace,
    declared: FlagSet,
    task: Task,
    files: ModelFiles,
    directory: RunDirectory,
    splits: Sequence[str],
) -> dict[str, Any]:
    """What is known of a command once all its input is read.

    Args:
      flags: after `scopes.settle`.
      declared: the flags of the script.
      splits: that it reads.
    """
    values = {flag.name: as_given(flags, flag.name) for flag in declared if flag.name not in _OWN}
    folder = directory.path
    record = {
        **same(flags, declared),
        "flags": values,
        "folder": str(Path.cwd()),
        "data": _data(task, splits, folder),
        "weights": _digests(_weights(flags, files), folder),
        "named": _digests(_named(flags, declared), folder),
    }
    processor = getattr(flags, "processor", None)
    return record if processor is None else {**record, "processor": type(processor).__name__}


def warn_of_other_inputs(
    flags: SimpleNamespace, command: Mapping[str, Any], task: Task, directory: RunDirectory, needs_base: bool
) -> None:
    """Warns of what a command gives a trained run that has been trained with something else.

    Args:
      flags: after `scopes.settle`.
      command: of `begun`.
      task: what is trained.
      directory: the output directory, before this command changes it.
      needs_base: whether the first weights are read again, and compared, by every command.
    """
    listed = (directory.description() or {}).get(command_records.KEY) or []
    earlier = next((one for one in reversed(listed) if one.get("flags", {}).get("do_train")), None)
    if earlier is None or not directory.is_trained():
        return
    for name in ("init_adapter", *(() if needs_base else ("init_checkpoint",))):
        if name in flags.typed and _has_other_weights(name, earlier, command, directory.path):
            log.warning(
                "--%s=%s is not read: %s is trained, and goes by its own checkpoints; choose another --output_dir to "
                "begin from these weights", name, command["flags"][name], directory.path,
            )  # fmt: skip
    if not flags.do_train:
        return
    now = _data(task, [TRAIN], directory.path)
    changed = [path for path, digest in now.items() if earlier.get("data", {}).get(path) != digest]
    if changed:
        log.warning(
            "%s: not what %s was trained on so far, whose weights and steps go on; choose another --output_dir to "
            "train on these rows alone", one_line(", ".join(changed), 200), directory.path,
        )  # fmt: skip


def _has_other_weights(name: str, earlier: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> bool:
    """Whether a flag names first weights with other content in two commands; those of the run itself are none."""
    before, given = (one["flags"].get(name) for one in (earlier, now))
    if not given or given == before or Path(given).absolute().is_relative_to(folder.absolute()):
        return False
    return not set(now["weights"].values()) <= set(earlier.get("weights", {}).values())


def as_arguments(flag: Flag, value: Any) -> list[str]:
    """A value of a flag as it is on a command line; nothing for None, which no command line can say."""
    if value is None:
        return []
    if flag.type is bool:
        return [f"--{flag.name}" if value else f"--no{flag.name}"]
    return [f"--{flag.name}={one}" for one in (value if flag.is_repeated else [value])]


def _data(task: Task, splits: Iterable[str], folder: Path) -> dict[str, str]:
    """Digests of the files of splits: of finished record files as their manifests have them, else their sizes."""
    found: dict[str, str] = {}
    for split in splits:
        records = task.record_files(split)
        found |= {original(str(path.absolute())): _of_records(path) for path in records}
        if not records:
            found |= _digests(task.data_files(split), folder)
    return found


def _digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """Digests of files outside of the output directory, under the names that the command gave."""
    return {original(name): digest for name, digest in command_records.digests(paths, folder).items()}


def _of_records(path: Path) -> str:
    try:
        manifest = read_manifest_of(path)
    except ValueError:
        manifest = None
    return f"{path.stat().st_size} bytes" if manifest is None else str(manifest["sha256"])


def _weights(flags: SimpleNamespace, files: ModelFiles) -> Iterator[Path]:
    """Files of the first weights, an adapter and a teacher, the configuration beside, and those of the tokenizer."""
    given = as_given(flags, "init_checkpoint")
    first = flags.init_checkpoint if given and is_remote(given) else given
    # A vocabulary that this process has written follows from flags that are recorded.
    yield from (path for path in files.vocabulary.values() if not is_made_here(path))
    for name in (first, getattr(flags, "teacher", None)):
        if name and not is_remote(name):
            yield from _of_checkpoint(name)
    adapter = getattr(flags, "init_adapter", None)
    if adapter and Path(adapter).is_dir():
        yield from (path for path in Path(adapter).iterdir() if path.suffix in (".json", ".safetensors", ".bin"))


def _of_checkpoint(name: str) -> Iterator[Path]:
    beside = find_beside(name).config_file
    if beside is not None:
        yield Path(beside)
    with contextlib.suppress(CheckpointError):  # a trained run goes on without it
        yield from files_of(name)


def _named(flags: SimpleNamespace, declared: FlagSet) -> Iterator[Path]:
    """Files that flags and the command itself name: tables, vocabularies, code of the user's."""
    for flag in declared:
        value = getattr(flags, flag.name)
        if isinstance(value, str) and value and (flag.is_path or flag.names_code) and flag.name not in _OWN:
            yield from (Path(one) for one in (value, value.rpartition(":")[0]) if one)
    for name in flags.program[1:]:
        if is_file(name):
            yield Path(name.rpartition(":")[0] or name)
