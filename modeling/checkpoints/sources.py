"""Checkpoints by their formats, each as variables of the graph here: TensorFlow 1 and 2, Hugging Face's."""

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from common.errors import CheckpointError, one_line
from common.files import without_pattern
from modeling.checkpoints.huggingface_files import stated_head
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.object_based import OBJECT_GRAPH, ObjectCheckpoint
from modeling.checkpoints.variable_names import HUB_MODULE, precision_scalars
from modeling.checkpoints.weight_files import weight_files
from modeling.families import registry

# What TensorFlow's reader raises for damaged files.
_UNREADABLE = (tf.errors.OpError, RuntimeError, ValueError, IndexError)

Shapes = dict[str, tuple[int, ...]]


def readable_prefix(prefix: str) -> str:
    """The prefix of a TensorFlow checkpoint as TensorFlow can read it, see `common.files.without_pattern`.

    Raises:
      CheckpointError: the name itself, not only that of its folder, has a character of a pattern.
    """
    folder, name = os.path.split(prefix)
    if "://" not in prefix and without_pattern(name) != name:
        raise CheckpointError(
            f"{prefix}: TensorFlow reads no checkpoint whose name has *, ?, [, ] or a backslash; rename its files"
        )
    return os.path.join(without_pattern(folder), name) if folder else name  # noqa: PTH118 - keeps gs:// whole


class Bundle:
    """A TensorFlow checkpoint, of Google's or of this project."""

    def __init__(self, prefix: str) -> None:
        self.path = prefix
        self._readable = readable_prefix(prefix)
        try:
            # Not load_checkpoint, which takes a prefix for a folder where the store has folders by beginnings of names.
            self.reader = tf.compat.v1.train.NewCheckpointReader(self._readable)
            self._shapes: Shapes = {
                name: tuple(shape) for name, shape in self.reader.get_variable_to_shape_map().items()
            }
        except _UNREADABLE as error:
            raise CheckpointError(_damaged(prefix, ".index", error)) from None
        bare = {self._without_module(name): name for name in self._shapes}
        self.family = registry.of_google(bare)
        self._names = self.family.google if self.family else None
        self._source_of = bare
        if self._names is not None:
            kept = {name: source for name, source in bare.items() if not self._names.reason(name)}
            self._source_of = {self._names.ours(name): source for name, source in kept.items()}

    @property
    def is_object_based(self) -> bool:
        """Whether its keys are paths through TensorFlow 2's objects."""
        return OBJECT_GRAPH in self._shapes and not any(name.startswith("bert/") for name in self._shapes)

    def _without_module(self, name: str) -> str:
        bare = name.removeprefix(HUB_MODULE)
        return name if bare in self._shapes else bare

    def shapes(self) -> Shapes:
        """Shapes by our names."""
        return {name: self._shapes[source] for name, source in self._source_of.items()}

    def tensor(self, name: str) -> np.ndarray:
        """The value of a variable."""
        try:
            return self.reader.get_tensor(self._source_of[name])
        except _UNREADABLE as error:
            raise CheckpointError(_damaged(self.path, ".data", error)) from None

    def left_out(self) -> dict[str, str]:
        """Why a tensor is not read, by its name in the file."""
        reasons = {name: self._names.reason(name) if self._names else None for name in self._shapes}
        return precision_scalars(self.shapes()) | {name: reason for name, reason in reasons.items() if reason}

    def files(self) -> list[Path]:
        """The file that tells one checkpoint from another: it holds a checksum of each value."""
        return [Path(f"{self._readable}.index")]

    def is_of_other_types(self, names: Iterable[str]) -> bool:
        """Whether any of these variables is of another floating type than float32, which TensorFlow does not cast."""
        types = self.reader.get_variable_to_dtype_map()
        found = (types[self._source_of[name]] for name in names)
        return any(dtype.is_floating and dtype != tf.float32 for dtype in found)

    def verified(self, names: Iterable[str]) -> tuple[str, dict[str, str]]:
        """As `verified_values`."""
        names = list(names)
        for name in names:
            self.tensor(name)
        return self._readable, {self._source_of[name]: name for name in names}


class HuggingFaceFolder:
    """Hugging Face weights in one file or several, under our names."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = weight_files(path)
        self._part_of = {name: part for part in self.files for name in part}
        self.family = registry.of_tensors(self._part_of)
        names = (self.family or registry.FAMILIES[0]).hugging_face
        self._names = names.of_class(stated_head(Path(path).parent) or "")
        refusal = self._names.refusal(self._part_of)
        if refusal is not None:
            raise CheckpointError(f"{path}: {refusal}")
        self._source_of = self._names.all_ours(self._part_of)

    def shapes(self) -> Shapes:
        """Shapes by our names."""
        return {name: self._part_of[source].shape(source, name) for name, source in self._source_of.items()}

    def tensor(self, name: str) -> np.ndarray:
        """The value of a variable."""
        source = self._source_of[name]
        return self._part_of[source].tensor(source, name)

    def left_out(self) -> dict[str, str]:
        """Why a tensor is not read, by its name in the file."""
        reasons = {}
        for name in self._part_of.keys() - set(self._source_of.values()):
            original = self._source_of.get(self._names.original(name) or self._names.ours(name) or "")
            if original is None:
                reasons[name] = self._names.reason(name) or "nothing reads it"
            elif np.array_equal(self._part_of[name].read(name), self._part_of[original].read(original)):
                reasons[name] = f"a copy of {original}"
            else:
                reasons[name] = f"differs from {original}, which is read in its place"
        return reasons


Source = Bundle | HuggingFaceFolder | ObjectCheckpoint


def open_checkpoint(init_checkpoint: str) -> Source:
    """The checkpoint that a path means.

    Raises:
      CheckpointError: it is not found or cannot be read.
    """
    location = locate_checkpoint(init_checkpoint)
    if location.is_hugging_face:
        return HuggingFaceFolder(location.path)
    bundle = Bundle(location.path)
    if not bundle.is_object_based:
        return bundle
    try:
        return ObjectCheckpoint(bundle.path, bundle.reader)
    except _UNREADABLE as error:
        raise CheckpointError(_damaged(bundle.path, ".data", error)) from None


def verified_values(source: Source, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Prefix of a TensorFlow 1 checkpoint whose values have been read, and its names with ours."""
    names = list(names)
    if isinstance(source, Bundle) and not source.is_of_other_types(names):
        return source.verified(names)
    files = [Path(file.path) for file in source.files] if isinstance(source, HuggingFaceFolder) else source.files()
    stats = [path.stat() for path in files]
    names = tuple(sorted(names))
    prefix = _converted(source.path, tuple((one.st_mtime_ns, one.st_size) for one in stats), names)
    return prefix, {name: name for name in names}


# One conversion serves training and evaluation in the same process; size and time tell a replaced file from the old.
@functools.lru_cache(maxsize=4)
def _converted(path: str, times_and_sizes: tuple[tuple[int, int], ...], names: tuple[str, ...]) -> str:
    del times_and_sizes
    source = open_checkpoint(path)
    return temporary_checkpoint({name: source.tensor(name) for name in names})


def temporary_checkpoint(tensors: Mapping[str, np.ndarray]) -> str:
    """Prefix of a TensorFlow 1 checkpoint, in float32, that is there until the process ends."""
    directory = tempfile.mkdtemp(prefix="bert_weights_")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    prefix = f"{directory}/model.ckpt"
    save_tensors({name: as_float32(value) for name, value in tensors.items()}, prefix)
    return prefix


def as_float32(value: np.ndarray) -> np.ndarray:
    """A value as variables of the graph hold it: integers as they are, all others as float32."""
    return value if value.dtype.kind in "iub" else value.astype(np.float32, copy=False)


def save_tensors(tensors: Mapping[str, np.ndarray], prefix: str) -> None:
    """Writes a TensorFlow 1 checkpoint."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        inputs = [tf.compat.v1.placeholder(value.dtype, value.shape) for value in tensors.values()]
        save = tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=list(tensors), shape_and_slices=[""] * len(tensors), tensors=inputs
        )
        session.run(save, dict(zip(inputs, tensors.values(), strict=True)))


def _damaged(prefix: str, suffix: str, error: Exception) -> str:
    detail = one_line(getattr(error, "message", error), 120)
    return f"{prefix}: the {suffix} file is missing, truncated or damaged ({detail}); copy or download the files again"
