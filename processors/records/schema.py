"""The schema of a record: one declaration that writes `tf.Example`s and parses them back.

Serialization is written out here, without TensorFlow: converting processes stay small, start fast, and no
protocol-buffer object is built per integer. The bytes are those of `tf.train.Example`
(https://www.tensorflow.org/api_docs/python/tf/train/Example), so every TensorFlow reader understands them.
"""

import dataclasses
import functools
import math
import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import one_line

Features = dict[str, Any]
"""One record before it is serialized: field name -> scalar, sequence or array.

A name that begins with an underscore is for the host alone (character offsets, say) and is never written.
"""

_LENGTH_DELIMITED = 2
_LIST_FIELD = {"bytes": 1, "float32": 2, "int64": 3}
"""Number of the `oneof kind` field of `tf.train.Feature` for each dtype."""

_TABLE_BITS = (15, 17)
"""Integers of so many bits have their encoding ready: 30,522 tokens, and the 120,000 of the largest vocabularies."""


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

    @property
    def size(self) -> int | None:
        """How many values every row has; None where rows differ."""
        return None if self.is_sequence else math.prod(size or 0 for size in self.shape)


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
          ValueError: a key that is no field of this spec, or a fixed field of another length or type.
        """
        unknown = features.keys() - self._names
        if unknown and not all(name[0] == "_" for name in unknown):
            raise ValueError(f"not in the feature spec: {sorted(name for name in unknown if name[0] != '_')}")
        entries = []
        for name, dtype, size, pack in self._plan:
            value = features.get(name)
            if value is None:
                continue
            values = value if isinstance(value, (list, tuple)) else _as_list(value)
            if size is not None and len(values) != size:
                raise ValueError(f"field {name} holds {len(values)} values, expected {size}")
            try:
                content = pack(values)
            except (TypeError, OverflowError, struct.error):
                raise ValueError(f"field {name} holds {one_line(repr(values), 60)}, expected {dtype}") from None
            entries.append(_header(name, dtype, len(content)))
            entries.append(content)
        body = b"".join(entries)
        return b"\n" + _varint(len(body)) + body

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields)

    @functools.cached_property
    def _plan(self) -> list[tuple[str, str, int | None, Callable[[Sequence[Any]], bytes]]]:
        """Of each field its name, dtype, number of values (None: any), and what packs them."""
        return [(field.name, field.dtype, field.size, _PACKERS[field.dtype]) for field in self.fields]

    def padding(self) -> bytes:
        """A serialized record of defaults, to fill a batch whose shape must be static (`is_real_example` is 0)."""
        return self.serialize({field.name: _padding_value(field) for field in self.fields})

    def token_fields(self) -> tuple[str, ...]:
        """Names of the sequences with a value for each token: those whose static length is that of `input_mask`."""
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


def _as_list(value: Any) -> Sequence[Any]:
    """One value, or an array, as a sequence."""
    if isinstance(value, (int, float, bytes)):
        return (value,)
    return list(np.asarray(value).reshape(-1).tolist())


@functools.lru_cache(maxsize=1 << 14)
def _header(name: str, dtype: str, size: int) -> bytes:
    """What comes before the `size` bytes of a list's values: an entry, its key, a feature, the list in it.

    It depends on so little that it is made once for most records.
    """
    before = b"" if dtype == "bytes" else _prefix(1, size)  # numbers are packed: one field for all of them
    before = _prefix(_LIST_FIELD[dtype], len(before) + size) + before
    before = _prefix(2, len(before) + size) + before
    before = _prefix(1, len(name.encode())) + name.encode() + before
    return _prefix(1, len(before) + size) + before


def _prefix(number: int, size: int) -> bytes:
    """What comes before the `size` bytes of a length-delimited protocol-buffer field."""
    return bytes((number << 3 | _LENGTH_DELIMITED,)) + _varint(size)


def _packed_integers(values: Sequence[int]) -> bytes:
    """Varints side by side. Values under 128 encode as one byte; the middle value is a cheap guess."""
    if values and 0 <= values[len(values) // 2] < 128:
        try:
            packed = bytes(values)
        except (ValueError, TypeError):
            packed = b"\xff"
        if packed.isascii():
            return packed
    if values and min(values) >= 0:
        for bits in _TABLE_BITS:
            table = _varints(bits)
            try:
                return b"".join([table[value] for value in values])
            except (IndexError, TypeError):
                continue
    return b"".join([_varint(operator.index(value)) for value in values])  # 1.5 is refused, not cut to 1


def _packed_floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _repeated_bytes(values: Sequence[bytes]) -> bytes:
    return b"".join(_prefix(1, len(value)) + value for value in values)


_PACKERS: dict[str, Callable[[Sequence[Any]], bytes]] = {
    "int64": _packed_integers,
    "float32": _packed_floats,
    "bytes": _repeated_bytes,
}


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
def _varints(bits: int) -> list[bytes]:
    """Ready-made varints of all integers of so many bits; a look-up costs a fifth of an encoding."""
    table: list[bytes] = []
    for size in (1, 2, 3):
        values = np.arange(len(table), 1 << min(7 * size, bits))
        more = [0x80] * (size - 1) + [0]  # the bit that says that another byte follows
        digits = [values >> 7 * index & 0x7F | bit for index, bit in enumerate(more)]
        packed = np.stack(digits, axis=1).astype(np.uint8).tobytes()
        table += [packed[start : start + size] for start in range(0, len(packed), size)]
    return table
