"""repeat_run.py: says what has changed since a run, repeats its commands elsewhere, and compares the results."""

import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line import (
    app,
    commands,
    run_classifier,
    run_multiple_choice,
    run_ner,
    run_pretraining,
    run_seq2seq,
    run_squad,
    run_task,
)
from command_line.execution import ACTIONS, STANDARD_INPUT
from command_line.flags.declaration import FlagSet
from command_line.flags.parsing import parse
from command_line.flags.repeating import REPEATING
from command_line.frame import TaskScript
from command_line.run_changes import changes
from common import command_records
from common.checkpoints import latest_checkpoint
from common.errors import FlagError, RunDirectoryError, closest, one_line
from common.run_directory import RUN_FILE, RunDirectory

log = logging.getLogger(__name__)

DECLARED = FlagSet((REPEATING,))

SCRIPTS: dict[str, TaskScript[Any]] = {
    "run_classifier.py": run_classifier.SCRIPT,
    "run_squad.py": run_squad.SCRIPT,
    "run_ner.py": run_ner.SCRIPT,
    "run_multiple_choice.py": run_multiple_choice.SCRIPT,
    "run_seq2seq.py": run_seq2seq.SCRIPT,
    "run_pretraining.py": run_pretraining.SCRIPT,
}
USERS = "run_task.py"
FILES = ("eval_results.json", "predictions.jsonl", "predictions.json", "nbest_predictions.json", "test_results.tsv")
"""Files whose bytes a repeat gives again."""


@dataclasses.dataclass(frozen=True)
class RepeatScript:
    """repeat_run.py.

    Args:
      folder: of the run; None where the command names none.
    """

    folder: Path | None = None

    @property
    def flags(self) -> FlagSet:
        """Every flag of the script."""
        return DECLARED

    def run(self, flags: SimpleNamespace) -> None:
        """Verifies and repeats the run; raises as `repeat_run`."""
        if self.folder is None:
            raise FlagError("no run is named; give its folder before the flags, as in repeat_run.py runs/mrpc")
        repeat_run(self.folder, flags)


SCRIPT = RepeatScript()


def start(description: str, argv: Sequence[str] | None = None) -> None:
    """Repeats the run that the first argument names.

    Args:
      description: printed by `--help`.
      argv: command line, program name first; the process's own by default.
    """
    program, *arguments = sys.argv if argv is None else argv
    folder = Path(arguments.pop(0)) if arguments and not arguments[0].startswith("-") else None
    app.start(RepeatScript(folder), description, [program, *arguments])


def repeat_run(folder: Path, flags: SimpleNamespace) -> None:
    """Verifies and repeats a run.

    Args:
      folder: of the run.
      flags: of `DECLARED`.

    Raises:
      BertError: it cannot be repeated, something has changed, or the results differ.
    """
    listed = recorded(folder)
    scripts = [script_of(command, folder, flags.run_code) for command in listed]
    target = _target(folder, flags)
    pairs = list(zip(listed, scripts, strict=True))
    found = list(dict.fromkeys(line for one, script in pairs for line in changes(one, script.flags)))
    for line in found:
        print(line, flush=True)
    if found and (flags.verify_only or not flags.anyway):
        more = "" if flags.verify_only else "; restore it, or add --anyway to repeat with what is here"
        raise RunDirectoryError(f"{folder}: {len(found)} thing(s) changed since the run, listed above{more}")
    if not found:
        print(f"{folder}: nothing has changed since the run: versions, machine, data, weights and code", flush=True)
    if target is None:
        return
    for number, (command, script) in enumerate(pairs, start=1):
        _repeat(command, script, target, f"command {number} of {len(listed)}")
    trained = [one for one in listed if one["flags"].get("do_train")]
    _compare(folder, target, listed, is_exact=not found and all(one["flags"].get("deterministic") for one in trained))


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The commands of a run, each with all that it takes to repeat it.

    Raises:
      RunDirectoryError: there is no `run.json`, or it does not say.
    """
    description = RunDirectory(folder).description()
    if description is None:
        seeds = sorted(path.parent.name for path in folder.glob(f"*/{RUN_FILE}")) if folder.is_dir() else []
        hint = f"; there are runs in {', '.join(seeds[:5])}: name one of them" if seeds else "; check the path"
        raise RunDirectoryError(f"{folder}: no {RUN_FILE} there{hint}")
    listed: list[dict[str, Any]] = description.get(command_records.KEY) or []
    if not listed:
        raise RunDirectoryError(
            f"{folder / RUN_FILE}: lists no commands, as an earlier version of this program wrote it; give the "
            "commands by hand"
        )
    for number, command in enumerate(listed):
        program, given = command.get("program"), command.get("given")
        is_whole = isinstance(command.get("flags"), dict) and isinstance(command.get("folder"), str)
        if not (is_whole and _are_texts(program) and program and _are_texts(given)):
            raise RunDirectoryError(
                f"{folder / RUN_FILE}: commands[{number}] lacks program, given, flags or folder; restore the file"
            )
        if "processor" in command:
            raise RunDirectoryError(
                f"{folder}: its examples came from a Python program ({one_line(command['processor'], 60)}), which "
                f"{RUN_FILE} does not hold; repeat that program"
            )
    return listed


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


def script_of(command: Mapping[str, Any], folder: Path, runs_code: bool) -> TaskScript[Any]:
    """The script of a command.

    Args:
      command: as recorded.
      folder: of the run, for messages.
      runs_code: whether the user has agreed to run the code that it names.

    Raises:
      FlagError: it names code of a user, who has not agreed.
      RunDirectoryError: there is no such script.
    """
    program, *further = command["program"]
    code = list(further)
    script = SCRIPTS.get(program)
    if script is not None:
        for flag in script.flags:
            value = command["flags"].get(flag.name)
            if flag.names_code is not None and value and flag.names_code(str(value)):
                code.append(str(value))
    elif program != USERS or len(further) != 1:
        raise RunDirectoryError(f"{folder / RUN_FILE}: no script {one_line(program, 60)}; {closest(program, SCRIPTS)}")
    if code and not runs_code:
        raise FlagError(
            f"{folder}: was made with code of a user, {one_line(', '.join(code))}; look at it, then add --run_code to "
            "run it"
        )
    if script is not None:
        return script
    with contextlib.chdir(_working_folder(command)):
        return run_task.find(further[0])


def _working_folder(command: Mapping[str, Any]) -> str:
    """Where a command was given, which is what its relative paths start from; here where that is gone."""
    there = str(command["folder"])
    return there if os.path.isdir(there) else "."  # noqa: PTH112


def _target(folder: Path, flags: SimpleNamespace) -> Path | None:
    """Where to repeat; None to only verify.

    Raises:
      FlagError: it is not said, or is the run itself.
    """
    if flags.verify_only:
        return None
    if not flags.output_dir:
        raise FlagError("--output_dir is missing: give a folder for the repeat, or --verify_only")
    target = Path(flags.output_dir).absolute()
    if target.resolve() == folder.resolve():
        raise FlagError(f"--output_dir={flags.output_dir} is the run itself; give another folder for the repeat")
    return target


def arguments(command: Mapping[str, Any], script: TaskScript[Any]) -> list[str]:
    """The command line that gives every flag its recorded value, without `--output_dir`.

    What was typed is typed again, and what differs from a default; standard input, which is gone, is not read again.
    """
    values = dict(command["flags"])
    if values.get("predict_file") == STANDARD_INPUT:
        values |= {"predict_file": None, "do_predict": False, "do_score": False}
    device = command.get("device")
    if isinstance(device, dict) and device.get("onednn"):
        values["onednn"] = device["onednn"]
    typed = {one.removeprefix("--").partition("=")[0] for one in command["given"]}
    typed |= {name.removeprefix("no") for name in typed}
    return [
        argument
        for flag in script.flags
        if flag.name in values and (flag.name in typed or values[flag.name] != flag.default)
        for argument in commands.as_arguments(flag, values[flag.name])
    ]


def _repeat(command: Mapping[str, Any], script: TaskScript[Any], target: Path, what: str) -> None:
    given = arguments(command, script)
    shown = " ".join([*command["program"], *command["given"]])
    flags = parse([command["program"][0], *given, f"--{commands.OUTPUT_DIR}={target}"], script.flags)
    if not any(getattr(flags, name, False) for name in (*ACTIONS, "do_score")):
        log.info("%s read standard input and is left out: %s", what, shown)
        return
    log.info("%s: %s", what, shown)
    if getattr(flags, "use_xla", False):
        app.let_xla_compile_for_cpu()
    with contextlib.chdir(_working_folder(command)):
        script.run(flags)


def _compare(folder: Path, target: Path, listed: Sequence[Mapping[str, Any]], is_exact: bool) -> None:
    """Prints what differs between a run and its repeat.

    Args:
      is_exact: whether every bit has to be equal.

    Raises:
      RunDirectoryError: it has, and is not.
    """
    repeated = (RunDirectory(target).description() or {}).get(command_records.KEY) or []
    different = [*_scores(listed, repeated), *_files(folder, target), *_tensors(folder, target)]
    for line in different:
        print(line, flush=True)
    if different and is_exact:
        raise RunDirectoryError(f"{target}: {len(different)} result(s) differ from {folder}, listed above")
    told = f"{len(different)} result(s) differ" if different else "equal, bit for bit"
    print(f"{target}: {told} (scores, prediction files, tensors of checkpoints)", flush=True)


def _scores(listed: Sequence[Mapping[str, Any]], repeated: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for first, second in zip(listed, repeated, strict=False):
        there, here = first.get("scores") or {}, second.get("scores") or {}
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                yield f"{name}: {there.get(name)} there, {here.get(name)} in the repeat"


def _files(folder: Path, target: Path) -> Iterator[str]:
    for name in FILES:
        first, second = folder / name, target / name
        if first.is_file() and not (second.is_file() and first.read_bytes() == second.read_bytes()):
            yield f"{name}: {'has other content' if second.is_file() else 'is missing'} in the repeat"


def _tensors(folder: Path, target: Path) -> Iterator[str]:
    """Every tensor of the latest checkpoints, those of the optimizer too."""
    import numpy as np
    import tensorflow as tf

    from modeling.checkpoints.sources import readable_prefix

    first, second = latest_checkpoint(folder), latest_checkpoint(target)
    if first is None or second is None or first.name != second.name:
        if first is not second:
            yield f"checkpoint: {first and first.name} there, {second and second.name} in the repeat"
        return
    there, here = (tf.compat.v1.train.NewCheckpointReader(readable_prefix(one.prefix)) for one in (first, second))
    shapes = there.get_variable_to_shape_map()
    if shapes != here.get_variable_to_shape_map():
        yield f"{first.name}: has other tensors in the repeat"
        return

    def bits(reader: Any, name: str) -> bytes:
        return np.ascontiguousarray(reader.get_tensor(name)).tobytes()

    differing = [name for name in sorted(shapes) if bits(there, name) != bits(here, name)]
    if differing:
        yield f"{first.name}: {len(differing)} of {len(shapes)} tensors differ ({', '.join(differing[:3])} ...)"
