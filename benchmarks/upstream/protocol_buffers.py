"""Records upstream's way: a protocol-buffer object for each field."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


def record(features: Mapping[str, Sequence[Any]]) -> bytes:
    """A serialized `tf.train.Example` of lists of integers or floats."""
    feature = {name: _feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _feature(values: Sequence[Any]) -> Any:
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
