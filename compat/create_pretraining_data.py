"""Names of upstream's `create_pretraining_data.py`."""

import collections
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from processors.pretraining.instance_records import InstanceSerializer, record_sink
from processors.pretraining.instances import (
    TrainingInstance,
    create_instances_from_document,
    create_training_instances,
    truncate_seq_pair,
)
from processors.pretraining.masking import create_masked_lm_predictions

__all__ = [
    "MaskedLmInstance", "TrainingInstance", "create_float_feature", "create_instances_from_document",
    "create_int_feature", "create_masked_lm_predictions", "create_training_instances", "truncate_seq_pair",
    "write_instance_to_example_files",
]  # fmt: skip


MaskedLmInstance = collections.namedtuple("MaskedLmInstance", ["index", "label"])
"""A masked token: its place in the sequence and the token itself."""


def write_instance_to_example_files(
    instances: Iterable[TrainingInstance],
    tokenizer: Any,
    max_seq_length: int,
    max_predictions_per_seq: int,
    output_files: Sequence[str],
) -> None:
    """Writes instances of tokens as padded records, dealt out over the files in turn."""
    serialize = InstanceSerializer(max_seq_length, max_predictions_per_seq).serializer()
    with record_sink([Path(name) for name in output_files]) as sink:
        for instance in instances:
            ids = tokenizer.convert_tokens_to_ids(instance.tokens)
            labels = tokenizer.convert_tokens_to_ids(instance.masked_lm_labels)
            sink.write([serialize(instance._replace(tokens=list(ids), masked_lm_labels=list(labels)))])


def create_int_feature(values: Iterable[int]) -> tf.train.Feature:
    """A feature of integers."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=list(values)))


def create_float_feature(values: Iterable[float]) -> tf.train.Feature:
    """A feature of floats."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=list(values)))
