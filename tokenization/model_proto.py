"""Files of SentencePiece models as bytes: a protocol buffer, whose parts are written out here.

Source: sentencepiece_model.proto of google/sentencepiece. Its own Python module needs a newer protobuf than TensorFlow.
"""

import struct
from collections.abc import Iterable

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
"""Kinds of tokens."""


def with_symbols(model: bytes, symbols: Iterable[str]) -> bytes:
    """A model with further tokens behind its last, which are found in a text before it is cut.

    Args:
      model: content of the file.
      symbols: as texts have them after their normalization, with U+2581 in the place of blanks.
    """
    # What follows in a protocol buffer is added to a repeated field.
    return model + b"".join(piece_field(symbol, 0.0, USER_DEFINED) for symbol in symbols)


def piece_field(piece: str, score: float, kind: int) -> bytes:
    """A token as a part of a model."""
    return field(1, field(1, piece.encode()) + _float(2, score) + number(3, kind))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number has ten bytes
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(place: int, content: bytes) -> bytes:
    """A field with a length: bytes, a text, or a message."""
    return _varint(place << 3 | 2) + _varint(len(content)) + content


def number(place: int, value: int) -> bytes:
    """A field with an integer."""
    return _varint(place << 3) + _varint(value)


def _float(place: int, value: float) -> bytes:
    return _varint(place << 3 | 5) + struct.pack("<f", value)
