"""Files of weights in Hugging Face's folders: which they are, in which format. No TensorFlow is needed."""

from pathlib import Path

from common.errors import CheckpointError, one_line
from common.files import json_object
from modeling.checkpoints.huggingface import HuggingFaceCheckpoint, TensorFile
from modeling.checkpoints.pickles import PICKLE, PICKLE_INDEX, PickledTensors
from modeling.checkpoints.safetensors import INDEX, SAFETENSORS, tensor_names

PICKLES = ("pytorch_model" + PICKLE, "pytorch_model" + PICKLE_INDEX)
"""Names of PyTorch's weights in a folder; other files with this ending hold something else."""

_LONGEST_NAME = 256


def is_hugging_face(path: str) -> bool:
    """Whether a path names weights in one of these formats: a file of them, or the index of several."""
    return path.endswith((SAFETENSORS, INDEX, PICKLE, PICKLE_INDEX))


def weight_files(path: str) -> list[TensorFile]:
    """The files of a set of weights, each found valid.

    Args:
      path: a file of weights, or the index of several.

    Raises:
      CheckpointError: a file is missing, truncated or invalid, or the index contradicts the files.
    """
    suffix = PICKLE if path.endswith((PICKLE, PICKLE_INDEX)) else SAFETENSORS
    if not path.endswith((INDEX, PICKLE_INDEX)):
        return [_opened(path, suffix)]
    index = Path(path)
    file_of = _weight_map(index, suffix)
    files = [_opened(str(index.parent / name), suffix) for name in sorted(set(file_of.values()))]
    held: dict[str, Path] = {}
    for opened in files:
        file = Path(opened.path)
        for name in opened:
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


def _weight_map(index: Path, suffix: str) -> dict[str, str]:
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
        if not is_name or not file.endswith(suffix):
            raise CheckpointError(
                f"{index}: weight_map names {one_line(repr(file), 60)} for {one_line(name, 60)}, expected a "
                f"{suffix} file in the same folder"
            )
    return file_of


def _opened(path: str, suffix: str) -> TensorFile:
    """One file.

    Raises:
      CheckpointError: it is missing, truncated or invalid.
    """
    if suffix == PICKLE:
        if not Path(path).is_file():
            raise CheckpointError(f"{path}: no such file; copy or download it")
        return PickledTensors(path)
    tensor_names(Path(path))  # the format's own library finds more than is looked for here
    return HuggingFaceCheckpoint(path)
