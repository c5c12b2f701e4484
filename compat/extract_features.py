"""Names of upstream's `extract_features.py`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from compat.features import TokenizerAdapter, memory_input_fn, padded
from compat.run_classifier import _truncate_seq_pair
from modeling.build import build_encoder
from modeling.checkpoints.first_weights import load_weights
from modeling.config import BertConfig
from modeling.heads.pooling import VectorReader
from modeling.settings import ModelSettings
from processors import base
from processors.records.featurizer import PairFeaturizer
from processors.text_lines import read_text_lines, text_or_pair

__all__ = [
    "InputExample", "InputFeatures", "_truncate_seq_pair", "convert_examples_to_features", "input_fn_builder",
    "model_fn_builder", "read_examples",
]  # fmt: skip


class InputExample:
    """A line of text, or two, with its number."""

    def __init__(self, unique_id: int, text_a: str, text_b: str | None) -> None:
        self.unique_id = unique_id
        self.text_a = text_a
        self.text_b = text_b


class InputFeatures:
    """One line as padded ids, with its tokens."""

    def __init__(
        self,
        unique_id: int,
        tokens: list[str],
        input_ids: list[int],
        input_mask: list[int],
        input_type_ids: list[int],
    ) -> None:
        self.unique_id = unique_id
        self.tokens = tokens
        self.input_ids = input_ids
        self.input_mask = input_mask
        self.input_type_ids = input_type_ids


def read_examples(input_file: str) -> list[InputExample]:
    """The lines of a file, numbered from 0: a text, or two as in `A ||| B`."""
    found = map(text_or_pair, read_text_lines(Path(input_file)))
    return [InputExample(number, one.text_a, one.text_b) for number, one in enumerate(found)]


def convert_examples_to_features(
    examples: Sequence[InputExample], seq_length: int, tokenizer: Any
) -> list[InputFeatures]:
    """Tokenizes lines and pads them to `seq_length`."""
    adapter = TokenizerAdapter(tokenizer)
    featurizer = PairFeaturizer(adapter, seq_length, (), "single_label")
    rows = [base.InputExample(str(one.unique_id), one.text_a, one.text_b) for one in examples]
    found = []
    for example, (window,) in zip(examples, featurizer.featurize(rows), strict=True):
        tokens, ids = adapter.tokens(window["input_ids"]), adapter.ids(window["input_ids"])
        fields = (padded(values, seq_length) for values in (ids, window["input_mask"], window["segment_ids"]))
        found.append(InputFeatures(example.unique_id, tokens, *fields))
    return found


def input_fn_builder(features: Sequence[InputFeatures], seq_length: int) -> Callable[..., tf.data.Dataset]:
    """An `input_fn` over features in memory, in their order."""
    columns = {
        name: np.array([getattr(one, name) for one in features], np.int32).reshape([-1, seq_length])
        for name in ("input_ids", "input_mask", "input_type_ids")
    }
    columns["unique_ids"] = np.array([one.unique_id for one in features], np.int32)
    return memory_input_fn(columns, is_training=False, drop_remainder=False)


def model_fn_builder(
    bert_config: BertConfig,
    init_checkpoint: str,
    layer_indexes: Sequence[int],
    use_tpu: bool,
    use_one_hot_embeddings: bool,
) -> Callable[..., Any]:
    """A `model_fn` that predicts `layer_output_0` and so on, float32 [B, S, H], beside `unique_id`."""
    del use_tpu
    model = ModelSettings(bert_config, init_checkpoint, use_one_hot_embeddings)
    reader = VectorReader("none", layer_indexes)

    def model_fn(features: dict[str, tf.Tensor], labels: Any, mode: str, params: Any) -> Any:
        del labels, params
        inputs = {**features, "segment_ids": features["input_type_ids"]}
        encoder = build_encoder(model, reader, inputs, is_training=False, packed=False)
        load_weights(init_checkpoint)
        layers = [encoder.get_all_encoder_layers()[index] for index in layer_indexes]
        predictions = {f"layer_output_{number}": layer for number, layer in enumerate(layers)}
        return _predict_spec(mode, {"unique_id": features["unique_ids"], **predictions})

    return model_fn


def _predict_spec(mode: str, predictions: dict[str, tf.Tensor]) -> Any:
    if mode != "infer":
        raise ValueError(f"mode {mode!r}: this model only predicts")
    return tf.estimator.EstimatorSpec(mode=mode, predictions=predictions)
