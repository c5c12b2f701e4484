"""Flags whose paths have a scheme: what is read is copied to this machine first, what is written goes there."""

import atexit
import glob
import logging
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.flags.declaration import Flag
from common.errors import CheckpointError, FlagError, one_line
from common.paths import copy_file, is_remote, path_of
from modeling.checkpoints.locate import ASSETS, CheckpointLocation, locate_checkpoint
from modeling.checkpoints.safetensors import SAFETENSORS

log = logging.getLogger(__name__)

WRITTEN = "output_dir"
_TEMPORARY = "bert_"
LARGEST_BESIDE = 64 << 20
"""Bytes of a file beside a checkpoint (configuration, vocabulary, tokenizer) at most; larger ones are other weights."""

_WEIGHTS = (SAFETENSORS, ".bin", ".h5", ".msgpack", ".index", ".ckpt")
_OUTPUTS = ("output_dir", "output_file", "export_dir")
_OF_FILES = re.compile(r"(?:^|[=,])(?!https?:|grpc:)[a-z][a-z0-9+.-]*://")
_ONLY_LOCAL = (
    "do_export", "cache_features", "export_onnx", "export_frozen_graph", "do_score", "teacher", "teacher_predictions",
)  # fmt: skip


def staged(flags: SimpleNamespace, declared: Iterable[Flag]) -> SimpleNamespace:
    """The flags with the names of local copies in place of remote ones; `originals` has what was given, by flag.

    Raises:
      FlagError: something that has to be local is not.
      BertError: a file is not there, or cannot be read.
    """
    copies: dict[str, str] = {}
    given: dict[str, str] = dict(getattr(flags, "originals", {}))
    for flag in declared:
        value = getattr(flags, flag.name)
        if not isinstance(value, str) or not _has_remote(value):
            continue
        if flag.names_code is not None:
            raise FlagError(f"--{flag.name}={value}: code is run from files of this machine; copy it here")
        if flag.name == WRITTEN:
            _check_output(value, flags)
        elif flag.is_path or flag.name == "init_checkpoint":
            names = [name for one in value.split(",") for name in _matching(one)]
            copies[flag.name] = ",".join(_copy(flag.name, one) if is_remote(one) else one for one in names)
            given[flag.name] = value
    return SimpleNamespace(**{**vars(flags), **copies, "originals": given})


def as_given(flags: SimpleNamespace, name: str) -> Any:
    """The value of a flag as the command or `run.json` gives it, where it names a local copy now."""
    return getattr(flags, "originals", {}).get(name, getattr(flags, name))


def renamed(before: SimpleNamespace, after: SimpleNamespace, name: str) -> SimpleNamespace:
    """Flags of which one has got another value for this process alone: `as_given` still gives the one before."""
    originals = {**getattr(after, "originals", {}), name: as_given(before, name)}
    return SimpleNamespace(**{**vars(after), "originals": originals})


def inputs_alone(flags: SimpleNamespace, declared: Iterable[Flag]) -> SimpleNamespace:
    """As `staged`, for a script that writes local files alone.

    Raises:
      FlagError: something that it writes, or cannot copy, is remote.
      BertError: as `staged`.
    """
    for flag in declared:
        value = getattr(flags, flag.name)
        given = value if flag.is_repeated else [value]
        is_read = (
            (flag.is_path or flag.name == "init_checkpoint") and flag.name not in _OUTPUTS and not flag.is_repeated
        )
        remote = [one for one in given if isinstance(one, str) and _OF_FILES.search(one)]
        if remote and not is_read:
            raise FlagError(
                f"--{flag.name}={remote[0]}: this script takes a path of this machine only; copy what is read, or what "
                "is written"
            )
    return staged(flags, declared)


def local(path: Path) -> Path:
    """A file of an output directory for those who read local files alone: itself, or a copy."""
    return Path(_file(str(path))) if is_remote(path) else path


def original(path: str) -> str:
    """The remote name of a local copy; any other path as it is."""
    for folder, name in _folders.items():
        if path == folder or path.startswith(f"{folder}/"):
            return f"{name}{path[len(folder) :]}"
    return path


def is_made_here(path: Path) -> bool:
    """Whether a file is in a temporary folder of this program's, and no copy of a remote one."""
    folder = path.parent
    is_temporary = folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(_TEMPORARY)
    return is_temporary and str(folder) not in _folders


_folders: dict[str, str] = {}
"""Local folders of copies, and what they are copies of."""


def _has_remote(value: str) -> bool:
    return any(is_remote(one) for one in value.split(","))


def _matching(name: str) -> list[str]:
    """The files that a remote name is a pattern of; the name itself where there are none, or it is none."""
    path = path_of(name)
    if not (is_remote(name) and glob.has_magic(path.name)):
        return [name]
    return [str(one) for one in path.parent.glob(path.name)] or [name]


def _check_output(value: str, flags: SimpleNamespace) -> None:
    for name in _ONLY_LOCAL:
        if getattr(flags, name, None):
            raise FlagError(
                f"--{name} writes to local folders only, but --{WRITTEN}={value} is remote; copy the run to this "
                "machine and give that folder"
            )


def _copy(flag: str, name: str) -> str:
    """A local copy of what a flag names: a file, a folder with all below it, or the files of a checkpoint.

    Raises:
      BertError: it is not there, or cannot be read.
    """
    import tensorflow as tf

    try:
        if flag == "init_checkpoint":
            return _checkpoint(name)
        return _folder(name) if path_of(name).is_dir() else _file(name)
    except FileNotFoundError:
        raise FlagError(f"--{flag}={name}: no such file or folder; check the path") from None
    except (OSError, tf.errors.OpError) as error:
        reason = one_line(getattr(error, "strerror", None) or getattr(error, "message", error))
        raise FlagError(f"--{flag}={name}: cannot be read ({reason}); check the path and your credentials") from None


def _new_folder(name: str) -> Path:
    folder = tempfile.mkdtemp(prefix="bert_remote_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _folders[folder] = name.rstrip("/")
    return Path(folder)


def _file(name: str) -> str:
    source = path_of(name)
    target = _new_folder(str(source.parent)) / source.name
    copy_file(source, target)
    log.info("copied %s to this machine", name)
    return str(target)


def _folder(name: str) -> str:
    source, folder = path_of(name), _new_folder(name)
    for path in source.rglob("*"):
        target = folder / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, target)
    log.info("copied %s to this machine", name)
    return str(folder)


def _checkpoint(name: str) -> str:
    """The files of one checkpoint, with the small ones beside it, which say what model it is."""
    path_of(name).exists()  # brings the file system of the scheme
    location = locate_checkpoint(name)
    source = path_of(location.path).parent
    if source.name == "variables":
        raise CheckpointError(f"{name}: a TensorFlow Hub module is read from this machine only; copy it here")
    folder = _new_folder(str(source))
    for path in (*_of_checkpoint(location), *_beside(source)):
        target = folder / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            copy_file(path, target)
    log.info("copied %s to this machine", location.path)
    return str(folder / path_of(location.path).name)


def _of_checkpoint(location: CheckpointLocation) -> Iterator[Path]:
    path = path_of(location.path)
    if not location.is_hugging_face:
        parts = (f"{path.name}.index", f"{path.name}.data-")
        yield from (one for one in path.parent.iterdir() if one.name.startswith(parts))
        return
    yield path
    if path.suffix == ".json":  # the index of several files
        ending = (SAFETENSORS, ".bin")
        yield from (one for one in path.parent.iterdir() if one.name.endswith(ending) and "-of-" in one.name)


def _beside(folder: Path) -> Iterator[Path]:
    for path in (*folder.iterdir(), *(folder / ASSETS).glob("*")):
        if path.name.endswith(_WEIGHTS) or ".data-" in path.name or path.name == "checkpoint" or path.is_dir():
            continue
        if path.stat().st_size <= LARGEST_BESIDE:
            yield path
