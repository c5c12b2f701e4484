"""Weights in Hugging Face's names and file format, in terms of ours. No TensorFlow is needed."""

import abc
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from common.errors import CheckpointError, one_line
from modeling.families.names import HeadNames, HuggingFaceNames

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
"""NumPy's names of the types of tensors; bfloat16 as the integers of its bits."""


class TensorFile(abc.ABC):
    """A file of tensors in Hugging Face's names, read under ours as float32."""

    path: str

    @abc.abstractmethod
    def __iter__(self) -> Iterator[str]:
        """Names of the tensors."""

    @abc.abstractmethod
    def shape_of(self, theirs: str) -> tuple[int, ...]:
        """Shape of a tensor as it is in the file."""

    @abc.abstractmethod
    def read(self, theirs: str) -> np.ndarray:
        """A tensor as it is, but for bfloat16, which becomes float32."""

    def shape(self, theirs: str, ours: str) -> tuple[int, ...]:
        """Shape of a tensor as one of our variables."""
        shape = self.shape_of(theirs)
        return shape[::-1] if is_transposed(ours, theirs) else shape

    def tensor(self, theirs: str, ours: str) -> np.ndarray:
        """A tensor as the value of one of our variables."""
        array = self.read(theirs)
        return np.ascontiguousarray(array.T if is_transposed(ours, theirs) else array, dtype=np.float32)


class HuggingFaceCheckpoint(TensorFile):
    """A `.safetensors` file.

    Args:
      path: the file.

    Raises:
      CheckpointError: it cannot be read, is no safetensors file, or is truncated.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._header, self._start = _read_header(path)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._header if name != "__metadata__")

    def shape_of(self, theirs: str) -> tuple[int, ...]:
        """As the header says."""
        return tuple(self._header[theirs]["shape"])

    def read(self, theirs: str) -> np.ndarray:
        """A tensor as it is, but for bfloat16, which becomes float32."""
        entry = self._header[theirs]
        begin, _ = entry["data_offsets"]
        count = int(np.prod(entry["shape"], dtype=np.int64))
        flat = np.fromfile(self.path, dtype=DTYPES[entry["dtype"]], count=count, offset=self._start + begin)
        return widened(flat, entry["dtype"]).reshape(entry["shape"])


def widened(array: np.ndarray, dtype: str) -> np.ndarray:
    """Float32 of bfloat16, which is its upper half; other types as they are."""
    return (array.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else array


def write_safetensors(
    tensors: Iterable[tuple[str, np.ndarray]], path: Path, names: HuggingFaceNames, heads: Sequence[HeadNames]
) -> None:
    """Writes weights as PyTorch's classes of Hugging Face read them.

    The decoder of the masked language model is not written: it is the table of word embeddings.

    Args:
      tensors: our names, each with its array; a name that the family does not have stays.
      path: the new file.
      names: of the family.
      heads: of the model, as `HuggingFaceNames.heads_of`.

    Raises:
      SafetensorError: it cannot be written.
    """
    turned = {}
    for name, value in tensors:
        theirs = names.theirs(name, heads) or name
        turned[theirs] = np.ascontiguousarray(value.T if is_transposed(name, theirs) else value)
    path.touch()
    mode = path.stat().st_mode
    save_file(turned, path, metadata={"format": "pt"})
    path.chmod(mode)  # the library leaves a file that only its owner can read


def is_transposed(ours: str, theirs: str) -> bool:
    """Whether a tensor stands in a file as the transpose of our variable: linear layers do."""
    return ours.endswith("/kernel") and ours != theirs  # what keeps its name keeps its form


def _read_header(path: str) -> tuple[dict, int]:
    """Parsed header of a safetensors file, and where its data starts.

    Source: the safetensors format: 8 bytes of little-endian length, that much JSON, then the tensors.
    """
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if length > size - 8:
                raise CheckpointError(_truncated(path, size, f"a header of {length} bytes"))
            header = json.loads(handle.read(length))
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        end = 8 + length + max((entry["data_offsets"][1] for entry in entries), default=0)
        unknown = {entry["dtype"] for entry in entries} - DTYPES.keys()
    except (OSError, struct.error, ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {one_line(error)}") from None
    if unknown:
        raise CheckpointError(f"{path}: holds tensors of type {', '.join(sorted(unknown))}, expected float weights")
    if size < end:
        raise CheckpointError(_truncated(path, size, f"{end} bytes"))
    return header, 8 + length


def _truncated(path: str, size: int, expected: str) -> str:
    return f"{path}: truncated: found {size} bytes, expected {expected}; copy or download the file again"
