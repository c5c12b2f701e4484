"""The architecture of a BERT encoder, as `bert_config.json` or Hugging Face's `config.json` describes it."""

import dataclasses
import difflib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from common.errors import ConfigError, closest, one_line

log = logging.getLogger(__name__)

ACTIVATIONS = ("gelu", "gelu_erf", "linear", "relu", "tanh")

# Keys of the multilingual and Chinese releases; upstream's model never reads them.
_WITHOUT_EFFECT = frozenset(
    {
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type",
    }
)  # fmt: skip

# Any of these marks a file as Hugging Face's: Google's files never have them.
_HUGGING_FACE_MARKS = frozenset(
    {
        "model_type", "architectures", "layer_norm_eps", "position_embedding_type", "transformers_version",
        "torch_dtype", "pad_token_id", "use_cache", "_name_or_path", "id2label",
    }
)  # fmt: skip

# In Hugging Face's files "gelu" is the exact form; in Google's it is the tanh approximation.
_HUGGING_FACE_ACTIVATIONS = {
    "gelu": "gelu_erf", "gelu_python": "gelu_erf", "gelu_new": "gelu", "gelu_pytorch_tanh": "gelu",
    "gelu_fast": "gelu", "gelu_accurate": "gelu", "relu": "relu", "tanh": "tanh", "linear": "linear",
}  # fmt: skip

# Keys that change the numbers, each with the only value that this encoder computes.
_HUGGING_FACE_FIXED = {
    "model_type": "bert", "layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "is_decoder": False,
    "add_cross_attention": False, "pruned_heads": {},
}  # fmt: skip


_NOT_COMPUTED: dict[str, Any] = {
    "embedding_size": None, "num_hidden_groups": None, "inner_group_num": None, "layer_norm_eps": 1e-12,
    "use_relative_position": False, "rotary_dim": None, "attention_window": None,
}  # fmt: skip
"""Keys of other encoders, each with the value, if any, that this one computes."""


@dataclasses.dataclass
class BertConfig:
    """Sizes, activation and dropout of an encoder.

    Args:
      vocab_size: rows of the word embeddings.
      hidden_size: width H of every layer, a multiple of `num_attention_heads`.
      num_hidden_layers: encoder layers.
      num_attention_heads: attention heads A of each layer.
      intermediate_size: width of the feed-forward layer.
      hidden_act: `gelu` (tanh approximation, as upstream), `gelu_erf` (exact), `relu`, `tanh` or `linear`.
      hidden_dropout_prob: probability, 0 <= p < 1, of dropping a hidden value while training.
      attention_probs_dropout_prob: probability, 0 <= p < 1, of dropping an attention weight while training.
      max_position_embeddings: the longest sequence.
      type_vocab_size: rows of the segment embeddings.
      initializer_range: standard deviation of the truncated normal initializer.

    Raises:
      ConfigError: a value has the wrong type or lies outside its range.

    Source: `BertConfig` of google-research/bert.
    """

    vocab_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 16
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        self._check("BertConfig")

    def _check(self, source: str) -> None:
        for field in dataclasses.fields(self):
            _CHECKS[cast(type, field.type)](source, field.name, getattr(self, field.name))

    def check_heads(self) -> None:
        """Checks what a graph of this configuration needs; upstream checks it there, too.

        Raises:
          ConfigError: the width is not a multiple of the number of heads.
        """
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}; "
                "every head needs the same width"
            )

    @classmethod
    def from_dict(cls, json_object: Mapping[str, Any], source: str = "configuration") -> "BertConfig":
        """Configuration from the parsed content of a file.

        Args:
          json_object: keys and values of Google's `bert_config.json` or of Hugging Face's `config.json`.
          source: name to put before error messages, usually the file.

        Returns:
          The configuration; keys that are absent keep the defaults of the format. Unknown keys become attributes, as
          upstream has it, with a warning.

        Raises:
          ConfigError: `vocab_size` is missing, a value is unusable, or a key asks for what is not computed here.
        """
        if not isinstance(json_object, Mapping):
            raise ConfigError(f"{source}: found {one_line(type(json_object).__name__)}, expected one JSON object")
        known = [field.name for field in dataclasses.fields(cls)]
        if _HUGGING_FACE_MARKS & json_object.keys():
            values = _from_hugging_face(json_object, known, source)
        else:
            _refuse_other_numbers(json_object, _NOT_COMPUTED, source)
            values = {key: value for key, value in json_object.items() if key in known}
        if "vocab_size" not in values:
            raise ConfigError(f"{source}: vocab_size is missing; give the number of lines of the vocabulary file")
        try:
            config = cls(**values)
        except ConfigError as error:
            raise ConfigError(str(error).replace("BertConfig", source, 1)) from None
        config._keep_unknown(json_object, source)
        return config

    def _keep_unknown(self, json_object: Mapping[str, Any], source: str) -> None:
        known = {field.name for field in dataclasses.fields(self)}
        unknown = {key: value for key, value in json_object.items() if key not in known | _WITHOUT_EFFECT}
        if unknown and not _HUGGING_FACE_MARKS & json_object.keys():
            found = ((key, difflib.get_close_matches(key, known, n=1)) for key in unknown)
            shown = (f"{key!r} (closest {near[0]!r})" if near else repr(key) for key, near in found)
            log.warning("%s: unknown keys have no effect: %s", source, ", ".join(shown))
        for key, value in unknown.items():
            if key.isidentifier() and not hasattr(type(self), key):
                setattr(self, key, value)

    @classmethod
    def from_json_file(cls, json_file: str | Path) -> "BertConfig":
        """Configuration from a JSON file of Google's or of Hugging Face's.

        Raises:
          ConfigError: the file cannot be read, is not JSON, or `from_dict` refuses its content.
        """
        source = str(json_file)
        try:
            json_object = json.loads(_read_text(source))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source}: cannot read the model configuration: {one_line(error)}") from None
        except json.JSONDecodeError as error:
            raise ConfigError(f"{source}: not JSON: {error.msg} in line {error.lineno}") from None
        except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
            raise ConfigError(f"{source}: not a model configuration: {one_line(error)}") from None
        return cls.from_dict(json_object, source)

    def to_dict(self) -> dict[str, Any]:
        """Every value by its key in `bert_config.json`."""
        return dataclasses.asdict(self)

    def to_json_string(self) -> str:
        """The content of a `bert_config.json`: sorted keys, indented by two."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def check_vocabulary(self, entries: int, vocab_file: str) -> None:
        """Refuse a vocabulary whose ids would reach past the word embeddings.

        Args:
          entries: number of ids in the vocabulary.
          vocab_file: its name, for the message.

        Raises:
          ConfigError: there are more entries than rows.
        """
        if entries > self.vocab_size:
            raise ConfigError(
                f"{vocab_file}: {entries} entries, but vocab_size of the model configuration is {self.vocab_size}; "
                "use the vocabulary and the configuration that came with the checkpoint"
            )


def _read_text(source: str) -> str:
    if "://" in source:  # a bucket, which only TensorFlow can read
        import tensorflow as tf

        try:
            with tf.io.gfile.GFile(source) as handle:
                return handle.read()
        except tf.errors.OpError as error:
            raise OSError(error.message) from None
    return Path(source).read_text(encoding="utf-8-sig")


def _refuse_other_numbers(json_object: Mapping[str, Any], computed_values: Mapping[str, Any], source: str) -> None:
    """Refuses keys that change the numbers, unless they ask for what this encoder computes."""
    for key, computed in computed_values.items():
        found = json_object.get(key)
        if found is not None and found != computed:
            raise ConfigError(f"{source}: {key} is {found!r}, but this encoder computes {computed!r}; use a BERT model")


def _from_hugging_face(json_object: Mapping[str, Any], known: list[str], source: str) -> dict[str, Any]:
    """Google's keys and values for a Hugging Face configuration."""
    _refuse_other_numbers(json_object, _HUGGING_FACE_FIXED | _NOT_COMPUTED, source)
    # The format is open: keys of heads, generation and bookkeeping are none of the encoder's. A near miss is a slip.
    for key in json_object.keys() - set(known):
        if difflib.get_close_matches(key, known, n=1, cutoff=0.9):
            raise ConfigError(f"{source}: unknown key {key!r}, {closest(key, known)}; correct or remove it")
    values = {"type_vocab_size": 2} | {key: json_object[key] for key in known if key in json_object}
    activation = values.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in _HUGGING_FACE_ACTIVATIONS:
        raise ConfigError(
            f"{source}: hidden_act is {one_line(repr(activation))}, "
            f"expected one of {', '.join(sorted(_HUGGING_FACE_ACTIVATIONS))}"
        )
    return values | {"hidden_act": _HUGGING_FACE_ACTIVATIONS[activation]}


def _check_size(source: str, key: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise ConfigError(f"{source}: {key} is {one_line(repr(value))}, expected a whole number of at least 1")


def _check_fraction(source: str, key: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{source}: {key} is {one_line(repr(value))}, expected a number from 0 to below 1")


def _check_activation(source: str, key: str, value: object) -> None:
    if value not in ACTIVATIONS:
        raise ConfigError(f"{source}: {key} is {one_line(repr(value))}, expected one of {', '.join(ACTIVATIONS)}")


_CHECKS = {int: _check_size, float: _check_fraction, str: _check_activation}
