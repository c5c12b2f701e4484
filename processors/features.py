"""The schema of a record: one declaration that writes `tf.Example`s and parses them back.

Serialization is written out here, without TensorFlow: converting processes stay small, start fast, and no
protocol-buffer object is built per integer. The bytes are those of `tf.train.Example`
(https://www.tensorflow.org/api_docs/python/tf/train/Example), so every TensorFlow reader understands them.
"""

import dataclasses
import functools
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Features = dict[str, Any]
"""One record before it is serialized: field name -> scalar, sequence or array.

A name that begins with an underscore is for the host alone (character offsets, say) and is never written.
"""

_LENGTH_DELIMITED = 2
_LIST_FIELD = {"bytes": 1, "float32": 2, "int64": 3}
"""Number of the `oneof kind` field of `tf.train.Feature` for each dtype."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One named value of a record.

    Args:
      name: key in the `tf.Example`.
      dtype: `"int64"`, `"float32"` or `"bytes"` as stored; integers become int32 in the graph.
      shape: `()` a scalar; `(n,)` exactly n values; `(None,)` a sequence, padded to the longest row of a batch.
      default: stands in for an absent value and pads a sequence.
      static: the length that a `(None,)` field is padded to where shapes must be static; None elsewhere.
    """

    name: str
    dtype: str = "int64"
    shape: tuple[int | None, ...] = ()
    default: int | float | bytes = 0
    static: int | None = None

    @property
    def is_sequence(self) -> bool:
        """Whether rows differ in length."""
        return self.shape == (None,)


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """The fields of a record set, in order; writes and parses them.

    Example:
      >>> spec = FeatureSpec((Field("input_ids", shape=(None,)), Field("label_ids")))
      >>> spec.serialize({"input_ids": [101, 102], "label_ids": 1})[:2]
      b'\\n*'
    """

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"field names are not unique: {names}")

    def serialize(self, features: Mapping[str, Any]) -> bytes:
        """Serializes one record as a `tf.Example`; a field set to None or absent is left out (its default is read).

        Raises:
          ValueError: a key that is no field of this spec, or a fixed field of another length.
        """
        unknown = {name for name in features if name[0] != "_"} - {field.name for field in self.fields}
        if unknown:
            raise ValueError(f"not in the feature spec: {sorted(unknown)}")
        entries = [
            _map_entry(field.name, _feature(field, features[field.name]))
            for field in self.fields
            if features.get(field.name) is not None
        ]
        body = b"".join(entries)
        return b"\n" + _varint(len(body)) + body

    def padding(self) -> bytes:
        """A serialized record of defaults, to fill a batch whose shape must be static (`is_real_example` is 0)."""
        return self.serialize({field.name: _padding_value(field) for field in self.fields})

    def token_fields(self) -> tuple[str, ...]:
        """Names of the sequences with a value for each piece: those whose static length is that of `input_mask`."""
        lengths = {field.name: field.static for field in self.fields if field.is_sequence}
        length = lengths.get("input_mask")
        return tuple(name for name in lengths if length is not None and lengths[name] == length)

    def parse_spec(self) -> dict[str, Any]:
        """The features argument of `tf.io.parse_example`: sequences come back padded to the batch's longest."""
        import tensorflow as tf

        dtypes = {"int64": tf.int64, "float32": tf.float32, "bytes": tf.string}
        return {
            field.name: tf.io.FixedLenSequenceFeature([], dtypes[field.dtype], True, field.default)
            if field.is_sequence
            else tf.io.FixedLenFeature(field.shape, dtypes[field.dtype], _fixed_default(field))
            for field in self.fields
        }

    def to_json(self) -> list[dict[str, Any]]:
        """The declaration as plain JSON, for a manifest."""
        return [
            {**dataclasses.asdict(field), "shape": list(field.shape), "default": str(field.default)}
            for field in self.fields
        ]


def _fixed_default(field: Field) -> Any:
    return field.default if field.shape == () else [field.default] * int(field.shape[0] or 0)


def _padding_value(field: Field) -> Any:
    return [field.default] if field.is_sequence else _fixed_default(field)


def _feature(field: Field, value: Any) -> bytes:
    """`tf.train.Feature` bytes of one value."""
    values = np.asarray(value).reshape(-1).tolist() if not isinstance(value, list | tuple | bytes) else value
    values = [values] if isinstance(values, bytes) else values
    expected = None if field.is_sequence else math.prod(size or 0 for size in field.shape)
    if expected is not None and len(values) != expected:
        raise ValueError(f"field {field.name} holds {len(values)} values, expected {expected}")
    content = _LIST_CONTENT[field.dtype](values)
    return _delimited(_LIST_FIELD[field.dtype], content)


def _map_entry(name: str, feature: bytes) -> bytes:
    return _delimited(1, _delimited(1, name.encode()) + _delimited(2, feature))


def _delimited(number: int, content: bytes) -> bytes:
    """A length-delimited protocol-buffer field."""
    return bytes((number << 3 | _LENGTH_DELIMITED,)) + _varint(len(content)) + content


def _int64_list(values: Sequence[int]) -> bytes:
    table = _varint_table()
    try:
        return _delimited(1, b"".join([table[value] for value in values]))
    except KeyError:
        return _delimited(1, b"".join([_varint(int(value)) for value in values]))


def _float_list(values: Sequence[float]) -> bytes:
    return _delimited(1, struct.pack(f"<{len(values)}f", *values))


def _bytes_list(values: Sequence[bytes]) -> bytes:
    return b"".join(_delimited(1, value) for value in values)


_LIST_CONTENT: dict[str, Any] = {"int64": _int64_list, "float32": _float_list, "bytes": _bytes_list}


def _varint(value: int) -> bytes:
    """Base-128 variable-length integer, two's complement for negative values.

    Example:
      >>> _varint(300)
      b'\\xac\\x02'
    """
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@functools.cache
def _varint_table() -> dict[int, bytes]:
    """Ready-made varints of every piece id in use; a look-up costs a fifth of an encoding."""
    return {value: _varint(value) for value in range(1 << 16)}
