"""All families, and which one a configuration or a checkpoint is of."""

from collections.abc import Collection

from common.errors import ConfigError, closest, one_line
from modeling.families import albert, bert, distilbert, electra, roberta
from modeling.families.base import Family

FAMILIES: tuple[Family, ...] = (
    bert.FAMILY,
    distilbert.FAMILY,
    electra.FAMILY,
    roberta.FAMILY,
    albert.FAMILY,
)
"""The first is that of files which name none."""

CONFIG_FILES = ("bert_config.json", "config.json", *(one.google_config for one in FAMILIES if one.google_config))
"""What configurations are called, the preferred name first: ours and Google's, Hugging Face's, other owners'."""

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


def tokenizer_classes(kind: str) -> list[str]:
    """Hugging Face's classes of a kind of tokenizer, by the name that a family gives it."""
    return list(dict.fromkeys(family.tokenizer_class for family in FAMILIES if family.tokenizer == kind))


def of_tensors(names: Collection[str]) -> Family | None:
    """The family that a file of Hugging Face is of; None where its names fit several, which then read it alike."""
    known = {family.model_type: family.hugging_face.known(names) for family in FAMILIES}
    most = max(known.values())
    first, *others = (family for family in FAMILIES if known[family.model_type] == most)
    return None if others else first


def of_google(names: Collection[str]) -> Family | None:
    """The family of a TensorFlow 1 checkpoint whose owner has names of its own; None where the names are ours."""
    for family in FAMILIES:
        if family.google is not None and any(name.startswith(family.google.mark) for name in names):
            return family
    return None


def of_objects(full_names: Collection[str]) -> Family | None:
    """The family of a TensorFlow 2 checkpoint of the Model Garden; None where most names are not its."""
    known = {one.model_type: one.objects.known(full_names) for one in FAMILIES if one.objects is not None}
    best = max(known, key=lambda name: known[name])
    return _BY_TYPE[best] if known[best] else None
