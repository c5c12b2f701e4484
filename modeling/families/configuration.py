"""Configuration files of every family, Google's and Hugging Face's, as arguments of `BertConfig` and back."""

import difflib
import logging
from collections.abc import Collection, Mapping
from typing import Any

from common.errors import ConfigError, closest, one_line
from modeling.families import registry
from modeling.families.base import Family

log = logging.getLogger(__name__)

ACTIVATIONS = ("gelu", "gelu_erf", "linear", "relu", "tanh")
"""Names in Google's files, and `gelu_erf`, the exact form of what Google's `gelu` approximates."""

HUGGING_FACE_ACTIVATIONS = {
    "gelu": "gelu_erf", "gelu_python": "gelu_erf", "gelu_new": "gelu", "gelu_pytorch_tanh": "gelu",
    "gelu_fast": "gelu", "gelu_accurate": "gelu", "relu": "relu", "tanh": "tanh", "linear": "linear",
}  # fmt: skip
# In Google's files names of Hugging Face that are none of Google's mean the same.
_GOOGLE = HUGGING_FACE_ACTIVATIONS | {name: name for name in ACTIVATIONS}
_WRITTEN_ACTIVATIONS = {"gelu": "gelu_new", "gelu_erf": "gelu", "relu": "relu", "tanh": "tanh", "linear": "linear"}

# Keys of Google's releases that no model reads.
_WITHOUT_EFFECT = frozenset(
    {
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type", "layers_to_keep",
    }
)  # fmt: skip

# Any of these marks a file as Hugging Face's: Google's files never have them.
_HUGGING_FACE_MARKS = frozenset(
    {
        "model_type", "architectures", "layer_norm_eps", "position_embedding_type", "transformers_version",
        "torch_dtype", "pad_token_id", "use_cache", "_name_or_path", "id2label",
    }
)  # fmt: skip

# Keys that change the numbers in any family, each with the only value that the encoder computes.
_FIXED: dict[str, Any] = {
    "position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False, "pruned_heads": {},
    "use_relative_position": False, "rotary_dim": None, "attention_window": None,
}  # fmt: skip
_FIXED_WHERE_WEIGHTS_ARE_NOT_SHARED: dict[str, Any] = {"num_hidden_groups": None, "inner_group_num": None}
_WRITTEN = ("position_embedding_type", "is_decoder", "add_cross_attention")

_SLIP = 0.9
"""Likeness from which an unknown key in a file of Hugging Face is a misspelled one."""


def read(json_object: Mapping[str, Any], known: Collection[str], source: str) -> dict[str, Any]:
    """Arguments of `BertConfig` from the parsed content of a file.

    Args:
      json_object: keys and values of Google's or Hugging Face's file.
      known: the arguments that there are.
      source: name of the file, for messages.

    Raises:
      ConfigError: an unknown family, or a value that changes the numbers and is not computed.
    """
    family = _family(json_object, source)
    _refuse_what_is_not_computed(json_object, family, source)
    stated = {family.renamed.get(key, key): value for key, value in json_object.items()}
    values = {key: stated[key] for key in known if key in stated}
    if values.get("classifier_dropout", 0) is None:  # a null stands for the default
        del values["classifier_dropout"]
    if is_hugging_face(json_object):
        values = {"type_vocab_size": 2, **family.defaults, **values}
    values["model_type"] = family.model_type
    google = _GOOGLE | dict(family.google_activations)
    return _with_activation(values, HUGGING_FACE_ACTIVATIONS if is_hugging_face(json_object) else google, source)


def written(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of Hugging Face's `config.json`, from the arguments of `BertConfig`; `read` gives them back."""
    family = registry.named(values["model_type"])
    theirs = {ours: key for key, ours in family.renamed.items()}
    content = {theirs.get(key, key): value for key, value in values.items() if value is not None}
    content[theirs.get("hidden_act", "hidden_act")] = _WRITTEN_ACTIVATIONS[values["hidden_act"]]
    fixed = {key: _FIXED[key] for key in _WRITTEN} | dict(family.fixed)
    return {**fixed, **content, "pad_token_id": family.special_tokens.pad_id}


def _family(json_object: Mapping[str, Any], source: str) -> Family:
    if json_object.get("model_type") is not None:
        return registry.named(json_object["model_type"], source)
    if json_object.get("embedding_size") == json_object.get("hidden_size"):
        return registry.FAMILIES[0]
    marked = [one for one in registry.FAMILIES if one.google_keys <= json_object.keys()]
    return max(marked, key=lambda one: len(one.google_keys))


def _refuse_what_is_not_computed(json_object: Mapping[str, Any], family: Family, source: str) -> None:
    unshared = {} if family.shares_layers else _FIXED_WHERE_WEIGHTS_ARE_NOT_SHARED
    for key, computed in {**_FIXED, **unshared, **family.fixed}.items():
        found = json_object.get(key)
        if found is not None and found != computed:
            raise ConfigError(
                f"{source}: {key} is {one_line(repr(found), 60)}, but this encoder computes {computed!r}; use another "
                "model"
            )
    width, embedding = json_object.get("hidden_size"), json_object.get("embedding_size")
    if embedding not in (None, width) and not family.projects_embeddings:
        raise ConfigError(
            f"{source}: embedding_size is {one_line(repr(embedding), 60)} and hidden_size {one_line(repr(width), 60)}, "
            f"but embeddings of {family.title} are as wide as its layers; remove embedding_size, or give model_type"
        )


def unknown(json_object: Mapping[str, Any], known: Collection[str], source: str) -> dict[str, Any]:
    """Keys that have no effect, with their values; in Google's files with a warning.

    The format of Hugging Face is open: its other keys are of heads, generation and bookkeeping. A near miss is a slip.

    Raises:
      ConfigError: a key in a file of Hugging Face is a misspelled one.
    """
    family = _family(json_object, source)
    read_ones = {*known, *family.renamed, *family.fixed, *_FIXED, *_FIXED_WHERE_WEIGHTS_ARE_NOT_SHARED}
    others = {key: value for key, value in json_object.items() if key not in read_ones | _WITHOUT_EFFECT}
    if is_hugging_face(json_object):
        for key in others:
            if difflib.get_close_matches(key, read_ones, n=1, cutoff=_SLIP):
                raise ConfigError(f"{source}: unknown key {key!r}, {closest(key, read_ones)}; correct or remove it")
    elif others:
        found = ((key, difflib.get_close_matches(key, known, n=1)) for key in others)
        shown = (f"{key!r} (closest {near[0]!r})" if near else repr(key) for key, near in found)
        log.warning("%s: unknown keys have no effect: %s", source, one_line(", ".join(shown)))
    return others


def is_hugging_face(json_object: Mapping[str, Any]) -> bool:
    """Whether a file is Hugging Face's, in which the names of activations have other meanings."""
    return bool(_HUGGING_FACE_MARKS & json_object.keys())


def _with_activation(values: dict[str, Any], names: Mapping[str, str], source: str) -> dict[str, Any]:
    """The values with our name of the activation."""
    activation = values.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in names:
        raise ConfigError(
            f"{source}: hidden_act is {one_line(repr(activation))}, expected one of {', '.join(sorted(names))}"
        )
    return values | {"hidden_act": names[activation]}
