"""Names of upstream's `create_pretraining_data.py`."""

import collections
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf

from compat.features import program_flag
from processors.pretraining import instances, masking
from processors.pretraining.instance_records import InstanceSerializer, record_sink
from processors.pretraining.instances import TrainingInstance, truncate_seq_pair

__all__ = [
    "MaskedLmInstance", "TrainingInstance", "create_float_feature", "create_instances_from_document",
    "create_int_feature", "create_masked_lm_predictions", "create_training_instances", "truncate_seq_pair",
    "write_instance_to_example_files",
]  # fmt: skip


P = ParamSpec("P")
R = TypeVar("R")

MaskedLmInstance = collections.namedtuple("MaskedLmInstance", ["index", "label"])
"""A masked token: its place in the sequence and the token itself."""


def _reading_the_flag(function: Callable[P, R]) -> Callable[P, R]:
    """The function; `do_whole_word_mask` is by default the value of the program's flag of this name."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        bound.arguments.setdefault("do_whole_word_mask", bool(program_flag("do_whole_word_mask", None, False)))
        return function(*bound.args, **bound.kwargs)

    return call


create_training_instances = _reading_the_flag(instances.create_training_instances)
create_instances_from_document = _reading_the_flag(instances.create_instances_from_document)
create_masked_lm_predictions = _reading_the_flag(masking.create_masked_lm_predictions)


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
