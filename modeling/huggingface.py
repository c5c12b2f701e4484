"""Hugging Face's names and file format for BERT weights, in terms of Google's. No TensorFlow is needed."""

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from errors import CheckpointError, one_line

# Hugging Face's name, without a leading "bert.", and Google's. Linear layers keep their weights as [out, in];
# Google's kernels are [in, out], its output_weights are not.
_NAMES = (
    (r"embeddings\.(word|position|token_type)_embeddings\.weight", r"bert/embeddings/\1_embeddings"),
    (r"embeddings\.LayerNorm", "bert/embeddings/LayerNorm"),
    (r"encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)", r"bert/encoder/layer_\1/attention/self/\2"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.(dense|LayerNorm)", r"bert/encoder/layer_\1/attention/output/\2"),
    (r"encoder\.layer\.(\d+)\.(intermediate|output)\.(dense|LayerNorm)", r"bert/encoder/layer_\1/\2/\3"),
    (r"pooler\.dense", "bert/pooler/dense"),
    (r"cls\.predictions\.transform\.(dense|LayerNorm)", r"cls/predictions/transform/\1"),
    (r"cls\.predictions\.bias", "cls/predictions/output_bias"),
    (r"cls\.seq_relationship\.weight", "cls/seq_relationship/output_weights"),
    (r"cls\.seq_relationship\.bias", "cls/seq_relationship/output_bias"),
    (r"qa_outputs\.weight", "cls/squad/output_weights"),
    (r"qa_outputs\.bias", "cls/squad/output_bias"),
    (r"classifier\.weight", "output_weights"),
    (r"classifier\.bias", "output_bias"),
)
_LEAVES = {
    "LayerNorm.weight": "gamma", "LayerNorm.gamma": "gamma", "LayerNorm.bias": "beta", "LayerNorm.beta": "beta",
    "weight": "kernel", "bias": "bias",
}  # fmt: skip

# A counter, and copies of what stands under another name.
_IGNORED = re.compile(r"(^|\.)(embeddings\.position_ids|cls\.predictions\.decoder\.(weight|bias))$")

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


class HuggingFaceCheckpoint:
    """A `.safetensors` file, read under Google's names as float32.

    Args:
      path: the file.

    Raises:
      CheckpointError: it cannot be read, is no safetensors file, or is truncated.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._header, self._start = _read_header(path)
        self._source_of = {
            google_name(name): name for name in self._header if name != "__metadata__" and not _IGNORED.search(name)
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every variable, by Google's name; a tensor that has none keeps its own."""
        return {name: self._shape(name) for name in self._source_of}

    def tensor(self, name: str) -> np.ndarray:
        """One variable by Google's name.

        Raises:
          KeyError: there is none of that name.
        """
        entry = self._header[self._source_of[name]]
        begin, _ = entry["data_offsets"]
        count = int(np.prod(entry["shape"], dtype=np.int64))
        flat = np.fromfile(self.path, dtype=_DTYPES[entry["dtype"]], count=count, offset=self._start + begin)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        array = flat.reshape(entry["shape"])
        array = array.T if _is_transposed(name) else array
        return np.ascontiguousarray(array, dtype=np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._source_of)

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = tuple(self._header[self._source_of[name]]["shape"])
        return shape[::-1] if _is_transposed(name) else shape


def google_name(name: str) -> str:
    """Google's name of a Hugging Face tensor; the name itself where Google has none.

    `bert.encoder.layer.0.output.LayerNorm.weight` -> `bert/encoder/layer_0/output/LayerNorm/gamma`
    """
    bare = name.removeprefix("bert.")
    for pattern, replacement in _NAMES:
        match = re.fullmatch(pattern, bare)
        if match:
            return match.expand(replacement)
        stem, leaf = _split_leaf(bare)
        match = re.fullmatch(pattern, stem)
        if match and leaf:
            return f"{match.expand(replacement)}/{leaf}"
    return name


def _split_leaf(name: str) -> tuple[str, str | None]:
    for suffix, leaf in _LEAVES.items():
        if name.endswith("." + suffix):
            return name.removesuffix("." + suffix.rpartition(".")[2]), leaf
    return name, None


def _is_transposed(google: str) -> bool:
    return google.endswith("/kernel")


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
        unknown = {entry["dtype"] for entry in entries} - _DTYPES.keys()
    except (OSError, struct.error, ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {one_line(error)}") from None
    if unknown:
        raise CheckpointError(f"{path}: holds tensors of type {', '.join(sorted(unknown))}, expected float weights")
    if size < end:
        raise CheckpointError(_truncated(path, size, f"{end} bytes"))
    return header, 8 + length


def _truncated(path: str, size: int, expected: str) -> str:
    return f"{path}: truncated: found {size} bytes, expected {expected}; copy or download the file again"
