"""Whether a file of weights in the safetensors format is valid. No TensorFlow is needed."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from common.errors import CheckpointError, one_line
from common.files import json_object

SAFETENSORS = ".safetensors"
INDEX = ".safetensors.index.json"
"""End of the name of the file that says which of several files holds a tensor."""

_HEADER_LENGTH = 8


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a file, which is opened by the format's own library.

    Raises:
      CheckpointError: it is missing, truncated or invalid.
    """
    try:
        with safe_open(path, "np") as file:
            names = list(file.keys())
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; copy or download it") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_reason(path, error)) from None
    if "" in names:  # TensorFlow ends the process where it is to save one
        raise CheckpointError(f"{path}: holds a tensor without a name; write the file again without it")
    return names


def _reason(path: Path, error: Exception) -> str:
    """What is wrong with a file, in one line; of a truncated or too long one, by how much."""
    detail = one_line(str(error).removeprefix("Error while deserializing header: "))
    advice = "copy or download the file again"
    if not detail.endswith(("invalid header length", "not fully covered")):
        return f"{path}: cannot be read as safetensors: {detail}; {advice}"
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_HEADER_LENGTH), "little")
        if length > size - _HEADER_LENGTH:
            return f"{path}: truncated: found {size} bytes, expected a header of {length} bytes; {advice}"
        entries = json_object(stream.read(length))
    end = max((entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0)
    expected = _HEADER_LENGTH + length + end
    what = "truncated" if size < expected else "has bytes that no tensor covers"
    return f"{path}: {what}: found {size} bytes, expected {expected} bytes; {advice}"
