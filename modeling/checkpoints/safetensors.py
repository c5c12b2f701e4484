"""Files of weights in the safetensors format: which they are, and whether they are valid. No TensorFlow is needed."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from common.errors import CheckpointError, one_line
from common.files import json_object

SAFETENSORS = ".safetensors"
INDEX = ".safetensors.index.json"
"""End of the name of the file that says which of several files holds a tensor."""

_HEADER_LENGTH = 8
_LONGEST_NAME = 256


def is_safetensors(path: str) -> bool:
    """Whether a path names weights in this format: a file of them, or the index of several."""
    return path.endswith((SAFETENSORS, INDEX))


def weight_files(path: str) -> list[Path]:
    """The files of a set of weights, each found valid by the format's own library.

    Args:
      path: a `.safetensors` file, or the index of several.

    Raises:
      CheckpointError: a file is missing, truncated or invalid, or the index contradicts the files.
    """
    if not path.endswith(INDEX):
        _tensor_names(Path(path))
        return [Path(path)]
    index = Path(path)
    file_of = _weight_map(index)
    files = [index.parent / name for name in sorted(set(file_of.values()))]
    held: dict[str, Path] = {}
    for file in files:
        for name in _tensor_names(file):
            if name in held:
                raise CheckpointError(
                    f"{path}: {held[name].name} and {file.name} both hold {one_line(name, 80)}; download both again"
                )
            held[name] = file
    for name, file_name in file_of.items():
        if name not in held or held[name].name != file_name:
            raise CheckpointError(
                f"{path}: says that {file_name} holds {one_line(name, 80)}, which it does not; download the files again"
            )
    return files


def _weight_map(index: Path) -> dict[str, str]:
    try:
        file_of = json_object(index.read_bytes()).get("weight_map")
    except ValueError as error:
        raise CheckpointError(f"{index}: {error}; download the file again") from None
    except OSError as error:
        raise CheckpointError(f"{index}: cannot be read ({error.strerror}); check the path") from None
    if not isinstance(file_of, dict) or not file_of:
        raise CheckpointError(f"{index}: has no weight_map, which names the file of each tensor; download it again")
    for name, file in file_of.items():
        # A name with folders in it could lead anywhere.
        is_name = isinstance(file, str) and Path(file).name == file and len(file) < _LONGEST_NAME
        if not is_name or not file.endswith(SAFETENSORS):
            raise CheckpointError(
                f"{index}: weight_map names {one_line(repr(file), 60)} for {one_line(name, 60)}, expected a "
                f"{SAFETENSORS} file in the same folder"
            )
    return file_of


def _tensor_names(path: Path) -> list[str]:
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
