"""The checkpoints of a run: which of them is the latest. Exact names, no patterns, no TensorFlow.

A run's checkpoints are `model.ckpt-<step>.index` and `.data-00000-of-00001` in its folder. The file `checkpoint` there
names the latest one, in TensorFlow's text format; only files of the folder itself count as the run's.
"""

import collections
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from google.protobuf import text_encoding

from common.errors import CheckpointError, one_line
from common.files import sync_file, sync_folder, write_atomically, writing
from common.paths import is_remote

STATE_FILE = "checkpoint"
BASENAME = "model.ckpt"
"""Beginning of the names of a run's checkpoints, before the step."""

_FIELD = re.compile(
    rb'^\s*(model_checkpoint_path|all_model_checkpoint_paths)\s*:\s*"((?:[^"\\\n]|\\.)*)"', re.MULTILINE
)
_PART = re.compile(r"(model\.ckpt-(\d+))\.(index|data-\d{5}-of-(\d{5}))")


@dataclasses.dataclass(frozen=True)
class LatestCheckpoint:
    """The checkpoint that a run goes on from.

    Args:
      name: of the checkpoint in the run's folder, `model.ckpt-500`.
      prefix: its path, without `.index`.
      contradiction: why it is not the one that the file `checkpoint` names; None where it is.
    """

    name: str
    prefix: str
    contradiction: str | None = None


def checkpoint_name(step: int) -> str:
    """Name of a run's checkpoint of a step."""
    return f"{BASENAME}-{step}"


def latest_checkpoint(folder: Path, damaged: Mapping[str, str] | None = None) -> LatestCheckpoint | None:
    """Finds the checkpoint that the file `checkpoint` of a folder names, or else the newest one that is whole.

    Args:
      folder: of the run.
      damaged: names of checkpoints that cannot be used, each with the reason.

    Returns:
      None where the run has not got as far as its first step.

    Raises:
      CheckpointError: there have been trained checkpoints, but none that is whole; or `checkpoint` names another run's.
    """
    damaged = damaged or {}
    parts = _parts(folder)
    whole = [name for name in parts if parts[name].is_whole and name not in damaged]
    content = _content(folder)
    if content is None and not any(part.step for part in parts.values()):
        return None
    problem = f"its file {STATE_FILE} is missing"
    try:
        named = named_checkpoints(content)
    except ValueError as error:
        named, problem = [], f"its file {STATE_FILE} {error}"
    if named:
        name = Path(named[0]).name
        is_other = name not in parts and name not in damaged and _is_file(folder / f"{name}.index")
        if name in whole or is_other:
            return LatestCheckpoint(name, str(folder / name))
        _refuse_foreign(folder, named[0], parts)
        problem = damaged.get(name) or f"{one_line(name)} {_missing(parts.get(name))}"
    # The first checkpoint of a run is untrained: to fall back on it would undo the run without a word.
    trained = [name for name in whole if parts[name].step > 0]
    if not trained:
        raise CheckpointError(
            f"{folder}: {problem}, and there is no other trained checkpoint; copy its files back, or choose another "
            "--output_dir"
        )
    return LatestCheckpoint(trained[-1], str(folder / trained[-1]), f"{folder}: {problem}; {trained[-1]} is used")


def named_checkpoints(content: bytes | None) -> list[str]:
    """Paths in a file `checkpoint`, the latest first, as they stand there; none where there is no such file.

    Raises:
      ValueError: the file names no checkpoint; the message completes "the file ...".
    """
    if content is None:
        return []
    if not content.strip():
        raise ValueError("is empty")
    latest: list[str] = []
    others: list[str] = []
    for field, text in _FIELD.findall(content):
        try:
            path = text_encoding.CUnescape(text.decode("utf-8")).decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8") from None
        (latest if field == b"model_checkpoint_path" else others).append(path)
    if not latest or not latest[-1]:
        raise ValueError("names no checkpoint (model_checkpoint_path)")
    return [latest[-1], *others]


def record_checkpoint(folder: Path, name: str, keep: int) -> None:
    """Makes a checkpoint that was just written the latest, and removes the run's oldest ones.

    Its files are on the disk before `checkpoint` names it; until then, the one before it stays the latest.

    Args:
      folder: of the run.
      name: `model.ckpt-500`.
      keep: most checkpoints to keep; 0 for all.

    Raises:
      DataError: the disk is full.
    """
    parts = _parts(folder)
    listed = [one for one in _listed(folder) if one != name and one in parts and parts[one].is_whole]
    listed.append(name)
    with writing(folder / name):
        for file in parts[name].files:
            sync_file(folder / file)
    sync_folder(folder)
    _write_state(folder, listed)
    _remove_surplus(folder, listed, keep)


def drop_surplus(folder: Path, keep: int) -> list[str]:
    """Removes the oldest checkpoints that the file `checkpoint` lists beyond those to keep, as a crash may leave them.

    Args:
      folder: of a run that has ended; what its file `checkpoint` does not list is left alone.
      keep: most checkpoints to keep; 0 for all.

    Returns:
      The names of those removed.

    Raises:
      DataError: the disk is full, or a file cannot be removed.
    """
    parts = _parts(folder)
    return _remove_surplus(folder, [one for one in _listed(folder) if one in parts and parts[one].is_whole], keep)


def _remove_surplus(folder: Path, listed: Sequence[str], keep: int) -> list[str]:
    """Removes all but the last ones of the checkpoints that are listed, whose names it returns, then lists the rest."""
    surplus = list(listed[:-keep]) if keep else []
    if surplus:
        parts = _parts(folder)
        for file in (file for one in surplus for file in parts[one].files):
            with writing(folder / file):
                (folder / file).unlink(missing_ok=True)
        _write_state(folder, listed[-keep:])
    return surplus


def settle_checkpoint(folder: Path, latest: LatestCheckpoint) -> None:
    """Makes the file `checkpoint` name the run's own checkpoints alone, with the latest last, for TensorFlow to read.

    Raises:
      DataError: the disk is full.
    """
    parts = _parts(folder)
    listed = [one for one in _listed(folder) if one != latest.name and one in parts and parts[one].is_whole]
    listed.append(latest.name)
    try:
        there = named_checkpoints(_content(folder))
    except ValueError:
        there = []
    if there != [latest.name, *listed]:
        _write_state(folder, listed)


def parts_without_index(folder: Path, is_copy: bool = False) -> list[Path]:
    """Data files of checkpoints that a process which was killed has not finished, or not finished removing.

    Args:
      folder: of a run, or of a copy of one of its checkpoints.
      is_copy: whether the run has these values elsewhere. Else nothing is taken for unfinished unless another
        checkpoint is known to be the latest.
    """
    try:
        named = named_checkpoints(_content(folder))
    except ValueError:
        return []
    if not named and not is_copy:
        return []
    kept = {Path(path).name for path in named[:1]}
    parts = _parts(folder)
    return [
        folder / file for name in parts if name not in kept and not parts[name].has_index for file in parts[name].files
    ]


@dataclasses.dataclass
class _Parts:
    """The files of one checkpoint that are there."""

    step: int
    files: list[str] = dataclasses.field(default_factory=list)
    shards: dict[str, int] = dataclasses.field(default_factory=lambda: collections.defaultdict(int))
    has_index: bool = False

    @property
    def has_data(self) -> bool:
        return any(count == int(total) for total, count in self.shards.items())

    @property
    def is_whole(self) -> bool:
        return self.has_index and self.has_data


def _parts(folder: Path) -> dict[str, _Parts]:
    """Files of the run's checkpoints, by name, in the order of their steps; index files first in each."""
    found: dict[str, _Parts] = {}
    names = sorted((path.name for path in folder.iterdir()), reverse=True) if folder.is_dir() else []
    for match in filter(None, map(_PART.fullmatch, names)):
        part = found.setdefault(match[1], _Parts(int(match[2])))
        part.files.append(match[0])
        if match[3] == "index":
            part.has_index = True
        else:
            part.shards[match[4]] += 1
    return dict(sorted(found.items(), key=lambda item: item[1].step))


def _is_file(path: Path) -> bool:
    """Whether a file is there, where the name may be one that no file can have."""
    return path.is_file() if is_remote(path) else os.path.isfile(path)  # noqa: PTH113


def _missing(part: _Parts | None) -> str:
    if part is None:
        return "is missing"
    return f"has no {'.index' if not part.has_index else '.data'} file"


def _refuse_foreign(folder: Path, path: str, parts: Iterable[str]) -> None:
    """Refuses a path that leads out of the folder, unless the folder has files of that name.

    Raises:
      CheckpointError: it does.
    """
    try:
        is_here = Path(path).name in parts or (folder / Path(path).parent).resolve() == folder.resolve()
    except (OSError, ValueError):  # no path at all
        is_here = False
    if is_here:
        return
    raise CheckpointError(
        f"{folder / STATE_FILE}: names {one_line(path)}, which is in another folder; copy its files here, or start "
        "from it with --init_checkpoint in another --output_dir"
    )


def _content(folder: Path) -> bytes | None:
    path = folder / STATE_FILE
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _listed(folder: Path) -> list[str]:
    """Names in the file `checkpoint`, from oldest to latest."""
    try:
        latest, *others = [Path(path).name for path in named_checkpoints(_content(folder))]
    except ValueError:
        return []
    return [*(name for name in others if name != latest), latest]


def _write_state(folder: Path, names: Sequence[str]) -> None:
    escaped = [text_encoding.CEscape(name.encode(), as_utf8=False) for name in names]
    lines = [f'model_checkpoint_path: "{escaped[-1]}"', *(f'all_model_checkpoint_paths: "{one}"' for one in escaped)]
    write_atomically(folder / STATE_FILE, "".join(f"{line}\n" for line in lines))
