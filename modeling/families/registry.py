"""All families, and which one a configuration or a checkpoint is of."""

from collections.abc import Collection

from common.errors import ConfigError, closest, one_line
from modeling.families import bert, distilbert
from modeling.families.base import Family
from modeling.families.names import GoogleNames

FAMILIES: tuple[Family, ...] = (bert.FAMILY, distilbert.FAMILY)
"""The first is that of files which name none."""

_BY_TYPE = {family.model_type: family for family in FAMILIES}


def named(model_type: object, source: str = "configuration") -> Family:
    """The family of a name.

    Raises:
      ConfigError: there is none; `source` is named.
    """
    family = _BY_TYPE.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        text = one_line(str(model_type), 60)
        raise ConfigError(
            f"{source}: model_type is {text!r}, {closest(text, _BY_TYPE)}; no other encoder is computed here"
        )
    return family


def of_tensors(names: Collection[str]) -> Family:
    """The family that a file of Hugging Face is of, told by the names of its tensors; where several fit, the first."""
    return max(FAMILIES, key=lambda family: family.hugging_face.known(names))


def of_google(names: Collection[str]) -> GoogleNames | None:
    """Names of a TensorFlow 1 checkpoint where they differ from ours; None where they do not."""
    for family in FAMILIES:
        if family.google is not None and any(name.startswith(family.google.mark) for name in names):
            return family.google
    return None
