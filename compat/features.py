"""What the modules share: a tokenizer of upstream's kind for our featurizers, and datasets of padded rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from processors.records.schema import FeatureSpec
from tokenization import WORDPIECE_TOKENS


class TokenizerAdapter:
    """A `FullTokenizer`, or any object with its two methods, as our featurizers use one.

    Args:
      tokenizer: has `tokenize(text)`, `convert_tokens_to_ids(tokens)` and `vocab`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.special_tokens = WORDPIECE_TOKENS
        self.special_ids = WORDPIECE_TOKENS.ids(tokenizer.vocab)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        tokenizer = self._tokenizer
        return [list(tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))) for text in texts]

    def fingerprint(self) -> str:
        """Not used: these records carry no manifest."""
        return ""


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
