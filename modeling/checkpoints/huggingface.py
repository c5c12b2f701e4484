"""Hugging Face's names and file format for BERT weights, in terms of Google's. No TensorFlow is needed."""

import functools
import json
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from common.errors import CheckpointError, one_line

# Hugging Face's name, without a leading "bert.", and Google's: of one tensor, or of a module with tensors in it. Linear
# layers keep their weights as [out, in]; Google's kernels are [in, out], its output_weights are not.
_TENSORS = (
    ("embeddings.{table}_embeddings.weight", "bert/embeddings/{table}_embeddings"),
    ("cls.predictions.bias", "cls/predictions/output_bias"),
    ("cls.seq_relationship.weight", "cls/seq_relationship/output_weights"),
    ("cls.seq_relationship.bias", "cls/seq_relationship/output_bias"),
    ("qa_outputs.weight", "cls/squad/output_weights"),
    ("qa_outputs.bias", "cls/squad/output_bias"),
    ("classifier.weight", "output_weights"),
    ("classifier.bias", "output_bias"),
)
_MODULES = (
    ("embeddings.LayerNorm", "bert/embeddings/LayerNorm"),
    ("encoder.layer.{layer}.attention.self.{role}", "bert/encoder/layer_{layer}/attention/self/{role}"),
    ("encoder.layer.{layer}.attention.output.{part}", "bert/encoder/layer_{layer}/attention/output/{part}"),
    ("encoder.layer.{layer}.{block}.{part}", "bert/encoder/layer_{layer}/{block}/{part}"),
    ("pooler.dense", "bert/pooler/dense"),
    ("cls.predictions.transform.{part}", "cls/predictions/transform/{part}"),
)
_FIELDS = {
    "table": "word|position|token_type", "layer": r"\d+", "role": "query|key|value", "block": "intermediate|output",
    "part": "dense|LayerNorm",
}  # fmt: skip
# The first of two names for the same is the one to write.
_NORM_LEAVES = (("weight", "gamma"), ("bias", "beta"), ("gamma", "gamma"), ("beta", "beta"))
_LINEAR_LEAVES = (("weight", "kernel"), ("bias", "bias"))

# A counter, and copies of what stands under another name.
_IGNORED = re.compile(r"(^|\.)(embeddings\.position_ids|cls\.predictions\.decoder\.(weight|bias))$")

_ORIGINALS = {
    "decoder.weight": "bert/embeddings/word_embeddings", "decoder.bias": "cls/predictions/output_bias",
}  # fmt: skip

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
        array = self._read(self._source_of[name])
        array = array.T if _is_transposed(name, self._source_of[name]) else array
        return np.ascontiguousarray(array, dtype=np.float32)

    def left_out(self) -> dict[str, str]:
        """Why a tensor of the file is not among the variables, by its name there."""
        reasons = {}
        for name in self._header.keys() - {"__metadata__"} - set(self._source_of.values()):
            original = self._original_of(name)
            if original is None:
                reasons[name] = "nothing reads it"
            elif np.array_equal(self._read(name), self._read(original)):
                reasons[name] = f"a copy of {original}"
            else:
                reasons[name] = f"differs from {original}, which stands in its place"
        return reasons

    def __iter__(self) -> Iterator[str]:
        return iter(self._source_of)

    def _original_of(self, name: str) -> str | None:
        """Name, in the file, of what a tensor is expected to be a copy of."""
        original = _ORIGINALS.get(name.rpartition("cls.predictions.")[2], google_name(name))
        return self._source_of.get(original)

    def _read(self, name: str) -> np.ndarray:
        entry = self._header[name]
        begin, _ = entry["data_offsets"]
        count = int(np.prod(entry["shape"], dtype=np.int64))
        flat = np.fromfile(self.path, dtype=_DTYPES[entry["dtype"]], count=count, offset=self._start + begin)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.reshape(entry["shape"])

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = tuple(self._header[self._source_of[name]]["shape"])
        return shape[::-1] if _is_transposed(name, self._source_of[name]) else shape


def google_name(name: str) -> str:
    """Google's name of a Hugging Face tensor; the name itself where Google has none.

    `bert.encoder.layer.0.output.LayerNorm.weight` -> `bert/encoder/layer_0/output/LayerNorm/gamma`
    """
    bare = name.removeprefix("bert.")
    module, _, leaf = bare.rpartition(".")
    place = _translated(module, _MODULES)
    inner = dict(_leaves(module)).get(leaf)
    return _translated(bare, _TENSORS) or (f"{place}/{inner}" if place and inner else name)


def hugging_face_name(name: str, is_encoder_alone: bool = False) -> str:
    """Hugging Face's name of one of Google's variables, the inverse of `google_name`; itself where there is none.

    Args:
      name: Google's name, without `:0`.
      is_encoder_alone: whether the model has no head, so that the encoder's names have no `bert.` before them.

    `bert/encoder/layer_0/output/LayerNorm/gamma` -> `bert.encoder.layer.0.output.LayerNorm.weight`
    """
    module, _, inner = name.rpartition("/")
    place = _translated(module, _MODULES, backwards=True)
    leaf = next((theirs for theirs, ours in _leaves(module) if ours == inner), None)
    bare = _translated(name, _TENSORS, backwards=True) or (f"{place}.{leaf}" if place and leaf else None)
    if bare is None:
        return name
    return f"bert.{bare}" if name.startswith("bert/") and not is_encoder_alone else bare


def write_safetensors(tensors: Iterable[tuple[str, np.ndarray]], path: Path, is_encoder_alone: bool = False) -> None:
    """Writes weights as PyTorch's classes of Hugging Face read them.

    The decoder of the masked language model is not written: it is the table of word embeddings.

    Args:
      tensors: Google's names, each with its array.
      path: the new file.
      is_encoder_alone: as for `hugging_face_name`.

    Raises:
      SafetensorError: it cannot be written.
    """
    turned = {}
    for name, value in tensors:
        theirs = hugging_face_name(name, is_encoder_alone)
        turned[theirs] = np.ascontiguousarray(value.T if _is_transposed(name, theirs) else value)
    path.touch()
    mode = path.stat().st_mode
    save_file(turned, path, metadata={"format": "pt"})
    path.chmod(mode)  # the library leaves a file that only its owner can read


def _translated(name: str, table: Sequence[tuple[str, str]], backwards: bool = False) -> str | None:
    """The other name of the row of a table that this name is in: Google's, or backwards, Hugging Face's."""
    for row in table:
        left, right = row[::-1] if backwards else row
        match = _pattern(left).fullmatch(name)
        if match:
            return right.format(**match.groupdict())
    return None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    return re.compile(re.sub(r"\\{(\w+)\\}", lambda field: f"(?P<{field[1]}>{_FIELDS[field[1]]})", escaped))


def _leaves(module: str) -> Sequence[tuple[str, str]]:
    return _NORM_LEAVES if module.endswith("LayerNorm") else _LINEAR_LEAVES


def _is_transposed(google: str, theirs: str) -> bool:
    return google.endswith("/kernel") and google != theirs  # what keeps its name keeps its form


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
