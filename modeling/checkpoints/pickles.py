"""PyTorch's files of weights (`pytorch_model.bin`), read without PyTorch. No TensorFlow is needed.

Such a file is a pickle, which can name any code. Here it may name tensors and dictionaries alone: anything else makes
it unreadable, and nothing of it is run.

Source: the formats that `torch.save` writes: a zip archive, and before release 1.6 a row of pickles.
"""

import collections
import dataclasses
import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.errors import CheckpointError, one_line
from modeling.checkpoints.huggingface import DTYPES, TensorFile, widened

PICKLE = ".bin"
PICKLE_INDEX = ".bin.index.json"
"""End of the name of the file that says which of several files holds a tensor."""

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip

# What reading made-up or damaged pickles and archives raises.
_UNREADABLE = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, IndexError, TypeError,
    AttributeError, NotImplementedError, OverflowError, MemoryError, RecursionError, RuntimeError, struct.error,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Numbers of one type, one after the other.

    Args:
      dtype: as in `huggingface.DTYPES`.
      key: name of the storage in its file.
      count: of numbers.
    """

    dtype: str
    key: str
    count: int


@dataclasses.dataclass(frozen=True)
class _View:
    """A tensor: places in a storage, counted in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """The tensor, of the numbers of its storage.

        Raises:
          ValueError: it lies outside.
        """
        places = (self.offset, *self.shape, *self.strides)
        is_odd = len(self.shape) != len(self.strides) or any(not isinstance(n, int) or n < 0 for n in places)
        steps = sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=False))
        if is_odd or (0 not in self.shape and self.offset + steps >= numbers.size):
            raise ValueError(f"a tensor of shape {self.shape} lies outside of its {numbers.size} numbers")
        strides = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)


class PickledTensors(TensorFile):
    """A file of `torch.save` with a dictionary of tensors.

    Args:
      path: the file.

    Raises:
      CheckpointError: it cannot be read, or holds anything else.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            is_archive = zipfile.is_zipfile(path)
            found, self._numbers = (_read_archive if is_archive else _read_pickles)(Path(path))
            self._views = _checked(found)
            for view in self._views.values():
                view.of(np.broadcast_to(np.zeros((), DTYPES[view.storage.dtype]), view.storage.count))
        except _UNREADABLE as error:
            raise CheckpointError(
                f"{path}: cannot be read as PyTorch's weights ({one_line(error, 120)}); copy or download it again, or "
                "save it as safetensors"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def shape_of(self, theirs: str) -> tuple[int, ...]:
        """Shape in the file."""
        return self._views[theirs].shape

    def read(self, theirs: str) -> np.ndarray:
        """A tensor as it is, but for bfloat16, which becomes float32.

        Raises:
          CheckpointError: the file is truncated or damaged.
        """
        view = self._views[theirs]
        try:
            numbers = self._numbers(view.storage)
            return widened(np.ascontiguousarray(view.of(numbers)), view.storage.dtype)
        except _UNREADABLE as error:
            raise CheckpointError(
                f"{self.path}: {one_line(theirs, 80)} cannot be read ({one_line(error, 80)}); copy or download the "
                "file again"
            ) from None


Numbers = Callable[[_Storage], np.ndarray]


def _read_archive(path: Path) -> tuple[Any, Numbers]:
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = name.removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
        if order != b"little":
            raise ValueError(f"numbers are in {one_line(order.decode('ascii', 'replace'), 20)}-endian order")
        found = _Unpickler(io.BytesIO(_member(archive, name))).load()

    def numbers(storage: _Storage) -> np.ndarray:
        with zipfile.ZipFile(path) as archive:
            return _as_numbers(_member(archive, f"{folder}data/{storage.key}"), storage)

    return found, numbers


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive; PyTorch compresses none, and what is compressed could be of any size."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{one_line(name, 60)} is compressed")
    return archive.read(name)


def _read_pickles(path: Path) -> tuple[Any, Numbers]:
    with path.open("rb") as stream:
        magic, _, system = (_Unpickler(stream).load() for _ in range(3))
        if magic != _MAGIC or not system.get("little_endian"):
            raise ValueError("not a file of torch.save, or one of a big-endian machine")
        reader = _Unpickler(stream)
        found = reader.load()
        places = _places(stream, _Unpickler(stream).load(), reader.storages)

    def numbers(storage: _Storage) -> np.ndarray:
        with path.open("rb") as stream:
            stream.seek(places[storage.key])
            return _as_numbers(stream.read(storage.count * np.dtype(DTYPES[storage.dtype]).itemsize), storage)

    return found, numbers


def _places(stream: IO[bytes], keys: Any, storages: Mapping[str, _Storage]) -> dict[str, int]:
    """Where in a file the numbers of each storage begin; before them stands how many they are."""
    places = {}
    for key in keys:
        storage = storages[key]
        if int.from_bytes(stream.read(8), "little") != storage.count:
            raise ValueError(f"storage {one_line(key, 20)} is of another size than its tensors say; is it truncated?")
        places[key] = stream.tell()
        stream.seek(storage.count * np.dtype(DTYPES[storage.dtype]).itemsize, io.SEEK_CUR)
    return places


def _as_numbers(content: bytes, storage: _Storage) -> np.ndarray:
    numbers = np.frombuffer(content, DTYPES[storage.dtype])
    if numbers.size < storage.count:
        raise ValueError(f"truncated: found {numbers.size} numbers, expected {storage.count}")
    return numbers


class _Unpickler(pickle.Unpickler):
    """Reads what a dictionary of tensors is made of, and nothing else."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _MAKERS:
            return _MAKERS[module, name]
        raise pickle.UnpicklingError(f"it names {one_line(f'{module}.{name}', 60)}, which is no part of a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or dtype not in DTYPES or not isinstance(key, str) or any(view):
            raise pickle.UnpicklingError("it holds something else than storages of tensors")
        if not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("the size of a storage is no number")
        return self.storages.setdefault(key, _Storage(dtype, key, count))


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _View, *_: Any) -> _View:
    return tensor


_MAKERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


def _checked(found: Any) -> dict[str, _View]:
    """The tensors by name.

    Raises:
      ValueError: it is no dictionary of tensors.
    """
    if not isinstance(found, dict) or not found:
        raise ValueError("it holds no dictionary of tensors")
    for name, view in found.items():
        if not isinstance(name, str) or not name:
            raise ValueError("a tensor has no name")
        if not isinstance(view, _View) or not isinstance(view.storage, _Storage):
            raise ValueError(f"{one_line(name, 60)} is no tensor")
    return dict(found)
