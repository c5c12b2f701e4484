"""Damaged versions of a file: cut, flipped, repeated, and with JSON values of every other type."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e400, "", "x", "\ud800", "\u0000", [], [1], [[]], {}, {"a": 1}, 10**30, -(10**30),
    "é" * 300,
)  # fmt: skip
_BYTES = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 6000, b"\r", b"\r\n\r\n",
    b'"', b"\xf0\x9f", b"\x1f\x8b\x08\x00", b"PK\x03\x04", b"\xfd7zXZ\x00", b"PAR1", b"NaN", b"-Infinity",
    b"\xe2\x80\xa8",
)  # fmt: skip


def damaged(content: bytes, seed: int) -> Iterator[bytes]:
    """Gives damaged versions without end; equal seeds give equal ones."""
    chance = random.Random(seed)
    yield from _BYTES
    values = _parsed(content)
    while True:
        if values is not None and chance.random() < 0.5:
            yield _with_another_value(values, chance)
        else:
            yield _with_other_bytes(content, chance)


def _parsed(content: bytes) -> list[Any] | None:
    """The JSON values of a file, one or one a line; None where it holds something else."""
    try:
        return [json.loads(content)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in content.splitlines()] or None
    except ValueError:
        return None


def _with_another_value(values: list[Any], chance: random.Random) -> bytes:
    changed = copy.deepcopy(values)
    places = list(_places(changed))
    for _ in range(chance.choice((1, 1, 2))):
        holder, key = chance.choice(places)
        what = chance.random()
        if what < 0.2 and isinstance(holder, dict):
            holder.pop(key, None)
        elif what < 0.3 and isinstance(holder, dict) and key in holder:
            holder[chance.choice(("", "x", "__metadata__", str(key) + " "))] = holder.pop(key)
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = copy.deepcopy(chance.choice(_VALUES))
    return "\n".join(json.dumps(value) for value in changed).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _with_other_bytes(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 3, 10))):
        start = chance.randrange(len(changed) + 1)
        stop = min(len(changed), start + chance.choice((1, 1, 2, 8, 100)))
        what = chance.randrange(5)
        if what == 0:
            del changed[start:]
        elif what == 1:
            del changed[start:stop]
        elif what == 2:
            changed[start:start] = chance.choice(_BYTES)
        elif what == 3:
            changed[start:stop] = bytes(chance.randrange(256) for _ in range(stop - start))
        else:
            changed[start:start] = changed[start:stop] * chance.choice((1, 2, 50))
    return bytes(changed)
