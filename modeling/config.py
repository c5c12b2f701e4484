"""The architecture of an encoder, as `bert_config.json` or Hugging Face's `config.json` describes it."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.errors import ConfigError, one_line
from modeling.families import configuration, registry
from modeling.families.base import Family
from modeling.families.configuration import ACTIVATIONS


@dataclasses.dataclass
class BertConfig:
    """Sizes, activation and dropout of an encoder.

    Args:
      vocab_size: rows of the word embeddings.
      hidden_size: width H of every layer, a multiple of `num_attention_heads`.
      num_hidden_layers: encoder layers.
      num_attention_heads: attention heads A of each layer.
      intermediate_size: width of the feed-forward layer.
      hidden_act: `gelu` (tanh approximation, as upstream), `gelu_erf` (exact), `relu`, `tanh`, `linear`, or a function.
      hidden_dropout_prob: probability, 0 <= p < 1, of dropping a hidden value while training.
      attention_probs_dropout_prob: probability, 0 <= p < 1, of dropping an attention weight while training.
      max_position_embeddings: rows of the table of positions.
      type_vocab_size: rows of the segment embeddings.
      initializer_range: standard deviation of the truncated normal initializer.
      model_type: name of a family, see `modeling.families`.
      layer_norm_eps: added to the variance in layer normalization.
      classifier_dropout: probability, 0 <= p < 1, of dropping a value that a classifier reads.
      embedding_size: width of the embeddings where it is not H; None where it is.
      num_hidden_groups: groups of layers, each with one set of weights; None where every layer has its own.

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
    model_type: str = "bert"
    layer_norm_eps: float = 1e-12
    classifier_dropout: float = 0.1
    embedding_size: int | None = None
    num_hidden_groups: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check = _CHECKS.get(field.name) or _CHECKS[field.type]
            check("BertConfig", field.name, getattr(self, field.name))
        registry.named(self.model_type, "BertConfig")

    @property
    def family(self) -> Family:
        """What the encoder has in common with others of its kind."""
        return registry.named(self.model_type)

    @property
    def embedding_width(self) -> int:
        """Width of the embeddings."""
        return self.embedding_size or self.hidden_size

    @property
    def longest_sequence(self) -> int:
        """Most tokens of a sequence, special ones included."""
        return self.max_position_embeddings - self.family.position_offset

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
        values = configuration.read(json_object, known, source)
        unknown = configuration.unknown(json_object, known, source)
        if "vocab_size" not in values:
            raise ConfigError(f"{source}: vocab_size is missing; give the number of lines of the vocabulary file")
        try:
            config = cls(**values)
        except ConfigError as error:
            raise ConfigError(str(error).replace("BertConfig", source, 1)) from None
        for key, value in unknown.items():
            if key.isidentifier() and not hasattr(cls, key):
                setattr(config, key, value)
        return config

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
        """Every value by its key: in Google's format where that has keys for all, else in Hugging Face's."""
        values = dataclasses.asdict(self)
        further = {field.name: field.default for field in dataclasses.fields(self)[_OF_GOOGLE:]}
        if all(values[name] == default for name, default in further.items()):
            return {name: value for name, value in values.items() if name not in further}
        return configuration.written(values)

    def hugging_face_dict(self) -> dict[str, Any]:
        """Every value by its key in Hugging Face's `config.json`; `from_dict` gives the configuration back."""
        return configuration.written(dataclasses.asdict(self))

    def to_json_string(self) -> str:
        """The content of a `bert_config.json`: sorted keys, indented by two."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def check_heads(self, source: str = "BertConfig") -> None:
        """Refuses a width that the attention heads cannot share, before a graph is built.

        Raises:
          ConfigError: it is not a multiple of their number.
        """
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"{source}: hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}; every head needs the same width"
            )

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


_OF_GOOGLE = 11
"""Number of the arguments that upstream's class has; the others are ours."""


def _read_text(source: str) -> str:
    if "://" in source:  # a bucket, which only TensorFlow can read
        import tensorflow as tf

        try:
            with tf.io.gfile.GFile(source) as handle:
                return handle.read()
        except tf.errors.OpError as error:
            raise OSError(error.message) from None
    return Path(source).read_text(encoding="utf-8-sig")


def _check_size(source: str, key: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise ConfigError(f"{source}: {key} is {one_line(repr(value))}, expected a whole number of at least 1")


def _check_optional_size(source: str, key: str, value: object) -> None:
    if value is not None:
        _check_size(source, key, value)


def _check_fraction(source: str, key: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{source}: {key} is {one_line(repr(value))}, expected a number from 0 to below 1")


def _check_activation(source: str, key: str, value: object) -> None:
    if value not in ACTIVATIONS and not callable(value):
        raise ConfigError(f"{source}: {key} is {one_line(repr(value))}, expected one of {', '.join(ACTIVATIONS)}")


def _check_nothing(source: str, key: str, value: object) -> None:
    del source, key, value


_CHECKS: dict[Any, Callable[[str, str, object], None]] = {
    int: _check_size,
    float: _check_fraction,
    int | None: _check_optional_size,
    "hidden_act": _check_activation,
    "model_type": _check_nothing,  # the registry does
}
"""Checks by the name of an argument, else by its type."""
