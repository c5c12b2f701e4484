"""What Hugging Face says of a model beside its weights: `config.json`, `tokenizer_config.json`. No TensorFlow."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from modeling.config import BertConfig
from modeling.families import registry
from modeling.families.base import Family
from tokenization.base import Tokenizer

HUGGING_FACE, TENSORFLOW, HUB = "huggingface", "tensorflow", "hub"
WEIGHTS = {HUGGING_FACE: "model.safetensors", TENSORFLOW: "model.ckpt", HUB: "encoder"}
"""The formats that a checkpoint can be written in, and the name of the weights in a folder of each."""

CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"

_PROBLEM_TYPES = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}


MULTIPLE_CHOICE = "multiple_choice"
_CHOOSES = "ForMultipleChoice"
"""What the names of Hugging Face's classes for it end in; its `problem_type` knows no such type."""


def architectures(family: Family, names: Collection[str], problem_type: str | None = None) -> list[str]:
    """Hugging Face's classes for a model with variables of these names; the encoder's where there is no head."""
    heads = family.hugging_face.heads_of(names, problem_type)
    parts = {head.includes for head in heads}
    return [family.title + head.title for head in heads if head.title not in parts] or [f"{family.title}Model"]


def model_settings(
    config: BertConfig, names: Collection[str], labels: Sequence[str] = (), problem_type: str | None = None
) -> dict[str, Any]:
    """The content of a `config.json`.

    Args:
      config: the encoder.
      names: our names of the model's variables, which say what heads there are.
      labels: names of the classifier's outputs, in order; none where it has no classifier.
      problem_type: `single_label`, `multi_label`, `regression` or `multiple_choice`; None where it is not known.

    Returns:
      Keys and values; `BertConfig.from_dict` makes `config` of them again.
    """
    settings = config.hugging_face_dict()
    settings |= {"architectures": architectures(config.family, names, problem_type), "tie_word_embeddings": True}
    if labels:
        settings["id2label"] = {str(index): label for index, label in enumerate(labels)}
        settings["label2id"] = {label: index for index, label in enumerate(labels)}
    if problem_type in _PROBLEM_TYPES:
        settings["problem_type"] = _PROBLEM_TYPES[problem_type]
    return settings


def unnamed_labels(count: int) -> list[str]:
    """The labels that Hugging Face gives outputs without a name: `LABEL_0`, `LABEL_1`, ..."""
    return [f"LABEL_{index}" for index in range(count)]


def tokenizer_settings(config: BertConfig, tokenizer: Tokenizer, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `tokenizer_config.json` for which Hugging Face's tokenizer gives the ids of ours.

    Args:
      config: the encoder.
      tokenizer: of the model.
      stated: what the kind of the tokenizer is to be told there.
    """
    special, family = tokenizer.special_tokens, config.family
    is_usual = tokenizer.kind == family.tokenizer
    return {
        "tokenizer_class": family.tokenizer_class if is_usual else registry.tokenizer_classes(tokenizer.kind)[0],
        **stated,
        "model_max_length": config.longest_sequence,
        **{f"{role}_token": getattr(special, role) for role in ("pad", "unk", "cls", "sep", "mask")},
    }


def stated_labels(folder: Path) -> list[str]:
    """Label names that a folder's `config.json` gives, in order; none where it gives none of its own.

    Raises:
      ConfigError: as for `all_labels`.
    """
    labels = all_labels(folder)
    return [] if labels == unnamed_labels(len(labels)) else labels


def all_labels(folder: Path) -> list[str]:
    """Label names that a folder's `config.json` gives, in order, `LABEL_0` among them; none where it has no `id2label`.

    Raises:
      ConfigError: the file cannot be read, or its `id2label` is not 0, 1, ... with a name for each.
    """
    named = _read(folder / CONFIG).get("id2label")
    if not named:
        return []
    try:
        return [str(named[str(index)]) for index in range(len(named))]
    except (KeyError, TypeError):
        raise ConfigError(
            f"{folder / CONFIG}: id2label is not a name for each of 0, 1, ...; correct it, or remove it"
        ) from None


def stated_head(folder: Path) -> str | None:
    """Title of the head (`families.names.HeadNames`) of the class that a folder's `config.json` names, if it names one.

    Raises:
      ConfigError: the file cannot be read.
    """
    named = _read(folder / CONFIG).get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    found = re.search("For[A-Z].*", first) if isinstance(first, str) else None
    return found[0] if found else None


def stated_problem_type(folder: Path) -> str | None:
    """Problem type that a folder's `config.json` names; None where it names none that is known here."""
    settings = _read(folder / CONFIG)
    if any(str(name).endswith(_CHOOSES) for name in settings.get("architectures") or ()):
        return MULTIPLE_CHOICE
    stated = settings.get("problem_type")
    return next((ours for ours, theirs in _PROBLEM_TYPES.items() if theirs == stated), None)


def stated_casing(folder: Path) -> bool | None:
    """`do_lower_case` of a folder's `tokenizer_config.json`; None where it says nothing."""
    stated = _read(folder / TOKENIZER).get("do_lower_case")
    return stated if isinstance(stated, bool) else None


def as_json(settings: Mapping[str, Any]) -> str:
    """The text of either file."""
    return json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not readable as JSON ({error}); correct it or move it away") from None
    return settings if isinstance(settings, dict) else {}
