"""Where a checkpoint's files are. No TensorFlow is needed for local paths.

A checkpoint may be named by its prefix (`uncased/bert_model.ckpt`), by one of its files, or by the directory that
holds it. Buckets (`gs://...`) work as prefixes and directories alike.
"""

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from common.checkpoints import STATE_FILE, named_checkpoints
from common.errors import CheckpointError, one_line
from modeling.checkpoints.safetensors import INDEX, SAFETENSORS
from modeling.checkpoints.weight_files import PICKLES, is_hugging_face, weight_files
from modeling.families import registry

PREFERRED = ("model" + SAFETENSORS, "model" + INDEX)
"""Names of weights that are taken where a directory holds several files of them."""

_BUNDLE_FILE = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_SAVED_MODEL = "variables/variables.index"
"""Weights of a TensorFlow Hub module, or another SavedModel."""
ASSETS = "assets"
SAVED_MODEL_FILE = "saved_model.pb"
HUB_FILE = "tfhub_module.pb"
"""Marks the folder of a TensorFlow Hub module."""
_OTHER_FORMATS = {".h5": "Keras HDF5 weights", ".msgpack": "Flax weights"}


@dataclasses.dataclass(frozen=True)
class CheckpointLocation:
    """A checkpoint that exists.

    Args:
      path: the prefix of a TensorFlow checkpoint, or a file of weights of Hugging Face, or the index of several.
      is_hugging_face: which of the two.
    """

    path: str
    is_hugging_face: bool


@dataclasses.dataclass(frozen=True)
class FilesBeside:
    """What lies next to a checkpoint; None for what does not."""

    config_file: str | None
    vocab_file: str | None


def locate_checkpoint(init_checkpoint: str | os.PathLike) -> CheckpointLocation:
    """Find the files that a path means.

    Args:
      init_checkpoint: prefix, `.index` or other file of a TensorFlow checkpoint; a `.safetensors` or PyTorch's `.bin`
        file, or the index of several; or a directory with one of them, where its `checkpoint` file, if any, says which.
        Where a directory has several, `model.safetensors` is taken, and `pytorch_model.bin` only where it is alone.

    Returns:
      The checkpoint.

    Raises:
      CheckpointError: nothing is there, or several checkpoints are.
    """
    path = os.fspath(init_checkpoint)
    if not path:
        raise CheckpointError("the checkpoint has an empty path; give the prefix or the directory of a checkpoint")
    files = _file_system(path)
    prefix = _BUNDLE_FILE.sub("", path)
    # Before the directory: some buckets take any beginning of a name for a directory.
    if files.exists(prefix + ".index"):
        return CheckpointLocation(prefix, is_hugging_face=False)
    if files.is_dir(path):
        return _in_directory(path, files)
    if is_hugging_face(path) and files.exists(path):
        return CheckpointLocation(path, is_hugging_face=True)
    wanted = path if is_hugging_face(path) else prefix + ".index"
    raise CheckpointError(f"{path}: no checkpoint there; looked for {wanted}{_present(path, files)}")


def files_of(init_checkpoint: str | os.PathLike) -> list[Path]:
    """The local files that hold the weights of a checkpoint, an index among them.

    Raises:
      CheckpointError: as `locate_checkpoint`, or one of several files is missing or damaged.
    """
    location = locate_checkpoint(init_checkpoint)
    path = Path(location.path)
    if location.is_hugging_face:
        return sorted({path, *(Path(file.path) for file in weight_files(location.path))})
    parts = (f"{path.name}.index", f"{path.name}.data-")
    return sorted(one for one in path.parent.iterdir() if one.name.startswith(parts))


def find_beside(init_checkpoint: str | os.PathLike, vocabulary_names: Sequence[str] = ("vocab.txt",)) -> FilesBeside:
    """Configuration and vocabulary in the directory of a checkpoint, or in its `assets` (TensorFlow Hub's modules).

    Args:
      init_checkpoint: as for `locate_checkpoint`; the checkpoint itself need not exist.
      vocabulary_names: what the vocabulary may be called, the preferred name first.

    Returns:
      Paths of `bert_config.json` (or another of `registry.CONFIG_FILES`) and of the vocabulary, each None where absent.
    """
    path = os.fspath(init_checkpoint)
    files = _file_system(path)
    directory = path if files.is_dir(path) else os.path.dirname(path)  # noqa: PTH120 - keeps gs:// whole

    def first_of(*names: str) -> str | None:
        folders = (directory, os.path.join(directory, ASSETS))  # noqa: PTH118 - keeps gs:// whole
        candidates = (os.path.join(folder, name) for folder in folders for name in names)  # noqa: PTH118
        return next((candidate for candidate in candidates if files.exists(candidate)), None)

    return FilesBeside(config_file=first_of(*registry.CONFIG_FILES), vocab_file=first_of(*vocabulary_names))


def _in_directory(directory: str, files: "_FileSystem") -> CheckpointLocation:
    names = sorted(files.listdir(directory))
    latest = _latest_in(directory, names, files)
    if latest:
        return CheckpointLocation(latest, is_hugging_face=False)
    found = [name for name in names if name.endswith((".index", SAFETENSORS, INDEX))]
    found = found or [name for name in PICKLES if name in names][:1]
    found = found or [name for name in (_SAVED_MODEL,) if files.exists(os.path.join(directory, name))]  # noqa: PTH118
    chosen = next((name for name in PREFERRED if name in found), found[0] if len(found) == 1 else None)
    if chosen is not None:
        path = os.path.join(directory, chosen)  # noqa: PTH118 - keeps gs:// whole
        return CheckpointLocation(path.removesuffix(".index"), is_hugging_face=is_hugging_face(path))
    if found:
        listed = ", ".join(found)
        raise CheckpointError(f"{directory}: {len(found)} checkpoints are there: {listed}; name the one to use")
    others = sorted({text for name in names for suffix, text in _OTHER_FORMATS.items() if name.endswith(suffix)})
    hint = f"; {' and '.join(others)} cannot be read, convert them to safetensors" if others else ""
    raise CheckpointError(
        f"{directory}: no checkpoint in this directory; looked for a file named checkpoint, *.index, *{SAFETENSORS} or "
        f"{PICKLES[0]}{hint}"
    )


def _latest_in(directory: str, names: list[str], files: "_FileSystem") -> str | None:
    """Prefix that the `checkpoint` file names: in this directory, else at the path that was recorded.

    Raises:
      CheckpointError: it names a checkpoint that is not there.
    """
    if STATE_FILE not in names:
        return None
    try:
        named = named_checkpoints(files.read(os.path.join(directory, STATE_FILE)))[0]  # noqa: PTH118
    except ValueError:
        return None  # the files themselves say which: one of them is enough
    here = os.path.join(directory, os.path.basename(named))  # noqa: PTH118, PTH119
    # Here first: a copied folder still records the path of the original.
    candidates = (here, os.path.join(directory, named))  # noqa: PTH118
    found = next((prefix for prefix in candidates if files.exists(prefix + ".index")), None)
    others = [name for name in names if name.endswith((".index", SAFETENSORS))]
    if found is None and others:
        raise CheckpointError(
            f"{directory}: its file {STATE_FILE} names {one_line(named)}, whose .index file is not there; copy it "
            f"back, or name the checkpoint to use: {', '.join(others)}"
        )
    return found


def _present(path: str, files: "_FileSystem") -> str:
    """What a missing file's directory does hold, to end a message with."""
    directory = os.path.dirname(path) or "."  # noqa: PTH120
    if not files.is_dir(directory):
        return f"; the directory {directory} does not exist"
    found = [name for name in sorted(files.listdir(directory)) if name.endswith((".index", SAFETENSORS))]
    return f"; {directory} holds {', '.join(found[:5]) if found else 'no checkpoint'}"


@dataclasses.dataclass(frozen=True)
class _FileSystem:
    exists: Callable[[str], bool]
    is_dir: Callable[[str], bool]
    listdir: Callable[[str], list[str]]
    read: Callable[[str], bytes]


def _file_system(path: str) -> _FileSystem:
    if "://" not in path:
        return _FileSystem(os.path.exists, os.path.isdir, os.listdir, lambda name: Path(name).read_bytes())
    import tensorflow as tf  # only TensorFlow can look into buckets

    def read(name: str) -> bytes:
        with tf.io.gfile.GFile(name, "rb") as handle:
            return handle.read()

    gfile = tf.io.gfile
    return _FileSystem(gfile.exists, gfile.isdir, gfile.listdir, read)
