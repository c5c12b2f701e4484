"""What the modules share: a tokenizer of upstream's kind for our featurizers, and datasets of padded rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags

from common.errors import DataError, one_line
from processors.records.schema import FeatureSpec
from tokenization import WORDPIECE_TOKENS
from tokenization.base import SpecialIds

_METHODS = ("tokenize", "convert_tokens_to_ids")


class TokenizerAdapter:
    """A tokenizer with upstream's two methods, as our featurizers use one.

    Featurizers get a number of its own for each token, and `ids` translates whole sequences. So the tokenizer needs
    neither a vocabulary nor a way back from ids, and different tokens that it gives the same id stay apart.

    Args:
      tokenizer: a `FullTokenizer`, or any object with `tokenize(text)` and `convert_tokens_to_ids(tokens)`.

    Raises:
      DataError: it lacks a method, or has no ids for the special tokens.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._numbers: dict[str, int] = {}
        self._tokens: list[str] = []
        names = self.special_tokens = WORDPIECE_TOKENS
        self._check(names.cls, names.sep)
        unk, cls, sep, mask = self._numbered([names.unk, names.cls, names.sep, names.mask])
        self.special_ids = SpecialIds(unk, cls, sep, mask, names.pad_id)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Numbers of the tokens of each text."""
        return [self._numbered(self._tokenizer.tokenize(text)) for text in texts]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Numbers of the tokens of each word."""
        return self.encode(words)

    def tokens(self, numbers: Iterable[int]) -> list[str]:
        """The tokens that numbers stand for."""
        return [self._tokens[number] for number in numbers]

    def ids(self, numbers: Iterable[int]) -> list[int]:
        """The tokenizer's ids of numbered tokens."""
        tokens = self.tokens(numbers)
        found = list(self._tokenizer.convert_tokens_to_ids(tokens))
        if len(found) != len(tokens):
            raise DataError(
                f"{self._name}.convert_tokens_to_ids: gave {len(found)} ids for {len(tokens)} tokens; expected one "
                "for each"
            )
        return found

    def fingerprint(self) -> str:
        """Not used: these records carry no manifest."""
        return ""

    @property
    def _name(self) -> str:
        return f"tokenizer {type(self._tokenizer).__name__}"

    def _numbered(self, tokens: Iterable[str]) -> list[int]:
        numbers, known = self._numbers, self._tokens
        found = []
        for token in tokens:
            if token not in numbers:
                numbers[token] = len(known)
                known.append(token)
            found.append(numbers[token])
        return found

    def _check(self, cls: str, sep: str) -> None:
        missing = [name for name in _METHODS if not callable(getattr(self._tokenizer, name, None))]
        if missing:
            raise DataError(
                f"{self._name}: has no {' and no '.join(missing)}; expected tokenization.FullTokenizer, or an object "
                "with its methods tokenize(text) and convert_tokens_to_ids(tokens)"
            )
        try:
            found = list(self._tokenizer.convert_tokens_to_ids([cls, sep]))
        except (KeyError, IndexError, TypeError) as error:
            found = [one_line(repr(error))]
        if len(set(found)) != 2 or not all(isinstance(one, int | np.integer) for one in found):
            raise DataError(
                f"{self._name}: ids of {cls} and {sep} are {', '.join(map(str, found))}; expected two different "
                "numbers; take the vocabulary that came with the checkpoint"
            )


def program_flag(name: str, given: Any, default: Any) -> Any:
    """What upstream's functions read from a global flag.

    Args:
      name: of the flag.
      given: the caller's value; anything but None counts.
      default: where the running program has defined no such flag (with absl, or `tf.flags`), or given it no value.
    """
    known = flags.FLAGS
    value = known[name].value if given is None and name in known else given
    return default if value is None else value


def padded(values: Iterable[int], length: int) -> list[int]:
    """Values with zeros up to a length."""
    found = list(values)
    return found + [0] * (length - len(found))


def records_input_fn(
    files: Sequence[str], spec: FeatureSpec, is_training: bool, drop_remainder: bool
) -> Callable[..., tf.data.Dataset]:
    """Upstream's `input_fn` over record files: padded rows, `params["batch_size"]` of them.

    Args:
      files: TFRecord files.
      spec: their schema; every sequence has a static length.
      is_training: repeat, and shuffle 100 records at a time, as upstream.
      drop_remainder: leave a last batch out that is not full.
    """
    from processors.records.input_fn import parse_batch

    def input_fn(params: Mapping[str, Any]) -> tf.data.Dataset:
        dataset = tf.data.TFRecordDataset(list(files))
        if is_training:
            dataset = dataset.repeat().shuffle(buffer_size=100)
        dataset = dataset.batch(params["batch_size"], drop_remainder=drop_remainder)
        return dataset.map(lambda rows: parse_batch(rows, spec, static_shapes=True))

    return input_fn


def memory_input_fn(
    columns: Mapping[str, Any], is_training: bool, drop_remainder: bool
) -> Callable[..., tf.data.Dataset]:
    """Upstream's `input_fn` over rows in memory.

    Args:
      columns: arrays [N, ...] by name.
      is_training: repeat, and shuffle 100 rows at a time, as upstream.
      drop_remainder: leave a last batch out that is not full.
    """

    def input_fn(params: Mapping[str, Any]) -> tf.data.Dataset:
        dataset = tf.data.Dataset.from_tensor_slices(dict(columns))
        if is_training:
            dataset = dataset.repeat().shuffle(buffer_size=100)
        return dataset.batch(params["batch_size"], drop_remainder=drop_remainder)

    return input_fn
