"""What an export of this project says of its model beside the weights, in `assets/`. No TensorFlow is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import ConfigError, one_line
from common.files import json_object
from modeling.checkpoints.locate import ASSETS, SAVED_MODEL_FILE

_VARIABLES = "variables"
_SETTINGS = "tokenizer.json"


def assets_of(init_checkpoint: str) -> Path | None:
    """The `assets/` of the SavedModel that a checkpoint is of; None where it is of none.

    Args:
      init_checkpoint: the folder of the SavedModel, or the prefix or a file of its weights.
    """
    path = Path(init_checkpoint)
    folder = path if path.is_dir() else path.parent
    if folder.name == _VARIABLES:
        folder = folder.parent
    return folder / ASSETS if (folder / SAVED_MODEL_FILE).is_file() and (folder / ASSETS).is_dir() else None


def stated_settings(assets: Path) -> Mapping[str, Any]:
    """Settings of tokenizer and task, such as `do_lower_case` and `problem_type`; none where no export wrote them.

    Args:
      assets: folder.

    Raises:
      ConfigError: the file cannot be read.
    """
    path = assets / _SETTINGS
    if assets.name != ASSETS or not (assets.parent / SAVED_MODEL_FILE).is_file() or not path.is_file():
        return {}
    try:
        settings = json_object(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({one_line(error)}); export again") from None
    return settings if "special_tokens" in settings else {}
