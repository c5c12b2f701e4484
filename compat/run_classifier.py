"""Names of upstream's `run_classifier.py`."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common.errors import DataError, one_line
from compat.features import TokenizerAdapter, memory_input_fn, padded, records_input_fn
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.heads.classification import ClassificationHead
from modeling.settings import ModelSettings
from processors.base import DataProcessor, InputExample, PaddingInputExample
from processors.problem_types import label_text
from processors.records.featurizer import PairFeaturizer, truncated_lengths
from processors.records.record_sets import record_writers
from processors.records.schema import FeatureSpec, Field
from processors.tables import glue
from processors.tables.processor import TableProcessor

__all__ = [
    "ColaProcessor", "DataProcessor", "InputExample", "InputFeatures", "MnliProcessor", "MrpcProcessor",
    "PaddingInputExample", "XnliProcessor", "_truncate_seq_pair", "convert_examples_to_features",
    "convert_single_example", "create_model", "file_based_convert_examples_to_features", "file_based_input_fn_builder",
    "input_fn_builder", "model_fn_builder",
]  # fmt: skip


class _Lists(TableProcessor):
    """Examples as lists, as upstream's processors give them: scripts take their length."""

    def get_train_examples(self, data_dir: str | None) -> list[InputExample]:
        """Examples to train on."""
        return list(super().get_train_examples(data_dir))

    def get_dev_examples(self, data_dir: str | None) -> list[InputExample]:
        """Examples to evaluate on."""
        return list(super().get_dev_examples(data_dir))

    def get_test_examples(self, data_dir: str | None) -> list[InputExample]:
        """Examples to predict; where the file has no labels, they have the first one, as upstream's."""
        first = self.get_labels()[0]
        found = super().get_test_examples(data_dir)
        return [dataclasses.replace(one, label=first) if one.label is None else one for one in found]


class ColaProcessor(_Lists, glue.ColaProcessor):
    """Corpus of Linguistic Acceptability."""


class MnliProcessor(_Lists, glue.MnliProcessor):
    """Multi-Genre Natural Language Inference."""


class MrpcProcessor(_Lists, glue.MrpcProcessor):
    """Microsoft Research Paraphrase Corpus."""


class XnliProcessor(_Lists, glue.XnliProcessor):
    """Cross-lingual NLI."""


class InputFeatures:
    """One example as padded ids.

    Args:
      input_ids: token ids, zeros after them.
      input_mask: 1 for a token, 0 for padding.
      segment_ids: 0 for the first text, 1 for the second.
      label_id: index of the label.
      is_real_example: whether it is more than padding of a batch.
    """

    def __init__(
        self,
        input_ids: list[int],
        input_mask: list[int],
        segment_ids: list[int],
        label_id: int,
        is_real_example: bool = True,
    ) -> None:
        self.input_ids = input_ids
        self.input_mask = input_mask
        self.segment_ids = segment_ids
        self.label_id = label_id
        self.is_real_example = is_real_example


def convert_single_example(
    ex_index: int, example: Any, label_list: Sequence[Any], max_seq_length: int, tokenizer: Any
) -> InputFeatures:
    """The features of one example; see `convert_examples_to_features`."""
    del ex_index
    return convert_examples_to_features([example], label_list, max_seq_length, tokenizer)[0]


def convert_examples_to_features(
    examples: Iterable[Any], label_list: Sequence[Any], max_seq_length: int, tokenizer: Any
) -> list[InputFeatures]:
    """Tokenizes examples and pads them.

    Args:
      examples: have `text_a`, `text_b` and `label`.
      label_list: labels in the order of the classes, of any type.
      max_seq_length: tokens of a row, special tokens included.
      tokenizer: a `tokenization.FullTokenizer`, or an object with its `tokenize` and `convert_tokens_to_ids`.

    Raises:
      DataError: a label that is missing or not in the list, or a tokenizer that cannot be used.
    """
    adapter = TokenizerAdapter(tokenizer)
    labels = [label_text(label) for label in label_list]
    # 1, 1.0, True and numpy's numbers are one label, as they are one key of a dictionary.
    names = dict(zip(label_list, labels, strict=True))
    featurizer = PairFeaturizer(adapter, max_seq_length, labels, "single_label")
    found = []
    for (window,) in featurizer.featurize([_normal(example, names) for example in examples]):
        length = max_seq_length
        is_real = bool(window["is_real_example"])
        found.append(
            InputFeatures(
                padded(adapter.ids(window["input_ids"]) if is_real else [], length),
                padded(window["input_mask"] if is_real else [], length),
                padded(window["segment_ids"] if is_real else [], length),
                window["label_ids"] or 0,
                is_real,
            )
        )
    return found


def _normal(example: Any, names: Mapping[Any, str]) -> InputExample | PaddingInputExample:
    if isinstance(example, PaddingInputExample):
        return example
    label = example.label
    if label is None and None not in names:
        raise DataError(
            f"example {example.guid!r}: has no label; expected one of {one_line(', '.join(names.values()))}; "
            "to predict, give any of them"
        )
    name = names.get(label) if isinstance(label, Hashable) else None
    return InputExample(example.guid, example.text_a, example.text_b or None, name or label_text(label))


def _spec(seq_length: int) -> FeatureSpec:
    names = ("input_ids", "input_mask", "segment_ids")
    ids = (Field(name, shape=(None,), static=seq_length) for name in names)
    return FeatureSpec((*ids, Field("label_ids"), Field("is_real_example")))


def file_based_convert_examples_to_features(
    examples: Iterable[Any], label_list: Sequence[Any], max_seq_length: int, tokenizer: Any, output_file: str
) -> None:
    """Writes the features of examples as padded records."""
    spec = _spec(max_seq_length)
    with record_writers([Path(output_file)], "choose another output_file") as (writer,):
        for one in convert_examples_to_features(examples, label_list, max_seq_length, tokenizer):
            writer.write(
                spec.serialize(
                    {
                        "input_ids": one.input_ids,
                        "input_mask": one.input_mask,
                        "segment_ids": one.segment_ids,
                        "label_ids": one.label_id,
                        "is_real_example": int(one.is_real_example),
                    }
                )
            )


def file_based_input_fn_builder(
    input_file: str, seq_length: int, is_training: bool, drop_remainder: bool
) -> Callable[..., tf.data.Dataset]:
    """An `input_fn` over a record file; see `compat.features.records_input_fn`."""
    return records_input_fn([input_file], _spec(seq_length), is_training, drop_remainder)


def input_fn_builder(
    features: Sequence[InputFeatures], seq_length: int, is_training: bool, drop_remainder: bool
) -> Callable[..., tf.data.Dataset]:
    """An `input_fn` over features in memory; see `compat.features.memory_input_fn`."""
    columns = {
        name: np.array([getattr(one, name) for one in features], np.int32).reshape([-1, seq_length])
        for name in ("input_ids", "input_mask", "segment_ids")
    }
    columns["label_ids"] = np.array([one.label_id for one in features], np.int32)
    return memory_input_fn(columns, is_training, drop_remainder)


def _truncate_seq_pair(tokens_a: list[Any], tokens_b: list[Any], max_length: int) -> None:
    """Shortens a pair in place, a token at a time from the longer one."""
    keep_a, keep_b = truncated_lengths(len(tokens_a), len(tokens_b), max_length)
    del tokens_a[keep_a:], tokens_b[keep_b:]


def create_model(
    bert_config: BertConfig,
    is_training: bool,
    input_ids: tf.Tensor,
    input_mask: tf.Tensor,
    segment_ids: tf.Tensor,
    labels: tf.Tensor,
    num_labels: int,
    use_one_hot_embeddings: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Encoder and classifier: mean loss, loss of each row [B], logits [B, C], probabilities [B, C]."""
    encoder = BertModel(bert_config, is_training, input_ids, input_mask, segment_ids, use_one_hot_embeddings)
    head = ClassificationHead(num_labels)
    features = {"label_ids": labels}
    # Frozen graphs are asked for "loss/Softmax".
    with tf.name_scope("loss"):
        logits = head.logits(encoder, features, is_training)
        loss, per_example_loss = head.loss(logits, features)
        return loss, per_example_loss, logits, tf.nn.softmax(logits, axis=-1)


def model_fn_builder(
    bert_config: BertConfig,
    num_labels: int,
    init_checkpoint: str | None,
    learning_rate: float,
    num_train_steps: int | None,
    num_warmup_steps: int | None,
    use_tpu: bool,
    use_one_hot_embeddings: bool,
) -> Callable[..., Any]:
    """A `model_fn` for an Estimator or TPUEstimator."""
    schedule = None
    if num_train_steps is not None:
        schedule = Schedule(learning_rate, num_train_steps, num_warmup_steps or 0)
    return build_model_fn(
        ModelSettings(bert_config, init_checkpoint or None, use_one_hot_embeddings),
        ClassificationHead(num_labels),
        schedule,
        GraphSettings(packed=False, tpu_estimator=use_tpu, use_tpu=use_tpu),
    )
