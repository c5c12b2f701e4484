"""Weights of Hugging Face's TensorFlow classes (`tf_model.h5`), under the names of its PyTorch classes. No TensorFlow.

Source: the HDF5 format of Keras 2, and how transformers 2 to 4 name what their TensorFlow classes save.
"""

import re
from collections.abc import Iterator, Sequence

import h5py
import numpy as np

from common.errors import CheckpointError, one_line
from modeling.checkpoints.huggingface import TensorFile

HDF5 = ".h5"
HDF5_INDEX = ".h5.index.json"
"""End of the name of the file that says which of several files holds a tensor."""

_CLASS = re.compile(r"tf_\w+")  # what a class of theirs calls itself, with a number behind where it is the second
_MEMBER = {"kernel": "weight", "gamma": "weight", "beta": "bias", "embeddings": "weight"}
_KERNEL = "kernel"
# What h5py raises for files that are damaged or made up.
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError)


class HDF5Tensors(TensorFile):
    """A file of weights that Keras has saved for a class of Hugging Face.

    A table that two layers share stands in it once for each; it is read once. Links to other files are not followed.

    Args:
      path: the file.

    Raises:
      CheckpointError: it cannot be read, a tensor lies in another file, or two of one name differ.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._places: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        try:
            with h5py.File(path, "r") as file:
                for place in _datasets(file):
                    self._add(file, place)
        except _UNREADABLE as error:
            raise CheckpointError(
                f"{path}: cannot be read as Keras weights ({one_line(error, 120)}); copy or download it again, or save "
                "it as safetensors"
            ) from None
        if not self._places:
            raise CheckpointError(f"{path}: holds no weights; copy or download it again")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def shape_of(self, theirs: str) -> tuple[int, ...]:
        """Shape as PyTorch has it: that of a linear layer is [out, in]."""
        return self._shapes[theirs]

    def read(self, theirs: str) -> np.ndarray:
        """A tensor as PyTorch has it.

        Raises:
          CheckpointError: the file is truncated or damaged.
        """
        try:
            with h5py.File(self.path, "r") as file:
                return _value(file, self._places[theirs])
        except _UNREADABLE as error:
            raise CheckpointError(
                f"{self.path}: {one_line(theirs, 80)} cannot be read ({one_line(error, 80)}); copy or download the "
                "file again"
            ) from None

    def _add(self, file: h5py.File, place: str) -> None:
        parts = place.split("/")
        group = file[parts[0]]
        is_keras = isinstance(group, h5py.Group) and "weight_names" in group.attrs
        # In one of several files there are no layers: paths are names.
        name = torch_name("/".join(_in_class(parts) if is_keras else parts))
        if name not in self._places:
            shape = file[place].shape
            self._places[name] = place
            self._shapes[name] = shape[::-1] if _is_turned(place, shape) else shape
        elif not np.array_equal(_value(file, place), _value(file, self._places[name])):
            raise ValueError(f"{one_line(name, 80)} stands in it twice with different values")


def torch_name(name: str) -> str:
    """The name of a weight in PyTorch's classes, from `tf_bert_model/bert/encoder/layer_._0/LayerNorm/gamma:0`."""
    parts = name.partition(":")[0].split("/")
    classes = [index for index, part in enumerate(parts[:-1]) if _CLASS.fullmatch(part)]
    # Behind three underscores begins what PyTorch's classes have: `mlm___cls`.
    *modules, member = (part.rpartition("___")[2] for part in parts[classes[-1] + 1 if classes else 0 :])
    return ".".join([*(part.replace("_._", ".") for part in modules), _MEMBER.get(member, member)])


def _datasets(file: h5py.File) -> list[str]:
    """Paths of the arrays, in order.

    Raises:
      ValueError: one is no array of numbers of this file.
    """
    found = []

    def note(place: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.is_virtual or item.external or item.dtype.kind not in "fiub":
            raise ValueError(f"{one_line(place, 80)} is no array of numbers of this file")
        found.append(place)

    file.visititems(note)
    return found


def _in_class(parts: Sequence[str]) -> Sequence[str]:
    """A path without the layer that Keras lists it under; without the class, where the user has given it a name."""
    if parts[1] == parts[0] or any(_CLASS.fullmatch(part) for part in parts):
        return parts[1:]
    return parts[2:]


def _value(file: h5py.File, place: str) -> np.ndarray:
    value = np.asarray(file[place][()])
    return value.T if _is_turned(place, value.shape) else value


def _is_turned(place: str, shape: Sequence[int]) -> bool:
    """Whether PyTorch has the transpose of what Keras has."""
    member = place.rpartition("/")[2].partition(":")[0]
    return member == _KERNEL and len(shape) > 1
