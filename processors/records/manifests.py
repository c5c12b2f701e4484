"""Manifests of record files: what a file was made from, how many records it holds, and whether to trust that."""

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import json_object, write_atomically
from common.paths import is_remote

_CHECKSUM, _SIZE = "checksum", "num_bytes"
_LENGTH_BYTES, _BYTES_AROUND_A_RECORD = 8, 16


def manifest_path(path: Path) -> Path:
    """Where the manifest of a record file is."""
    return path.with_name(path.name + ".manifest.json")


def write_manifest_of(path: Path, content: dict[str, Any]) -> None:
    """Writes the manifest of a finished record file beside it, with the size of the file and a checksum of its own.

    Args:
      path: the record file.
      content: `fingerprint`, `sha256`, `num_examples`, `num_records`, and whatever else is to be known.
    """
    sized = {**content, _SIZE: path.stat().st_size}
    write_atomically(manifest_path(path), json.dumps({**sized, _CHECKSUM: _checksum(sized)}, indent=2) + "\n")


def read_manifest_of(path: Path) -> dict[str, Any] | None:
    """The manifest of a record file, once its counts are known to be those of the file.

    A checksum and the size of the file vouch for them; where they do not, the records are counted.

    Returns:
      None where there is no manifest.

    Raises:
      ValueError: it cannot be read, or contradicts the file; the message completes "its manifest ...".
    """
    try:
        content = json_object(manifest_path(path).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    for name, kind in {"fingerprint": str, "sha256": str, "num_examples": int, "num_records": int}.items():
        if not isinstance(content.get(name), kind) or isinstance(content[name], bool):
            raise ValueError(f"has no {name}, or not a{' whole number' if kind is int else ' text'} there")
    checksum = content.pop(_CHECKSUM, None)
    if checksum != _checksum(content) or content.get(_SIZE) != path.stat().st_size:
        try:
            count = count_by_lengths(path)
        except DataError:
            raise ValueError("does not fit the file, which ends within a record") from None
        if count != content["num_records"]:
            raise ValueError(f"says {content['num_records']} records, but the file holds {count}")
    return content


def count_by_lengths(path: Path) -> int:
    """How many records a TFRecord file holds, by the lengths in it.

    Raises:
      DataError: it ends within a record.

    Source: the TFRecord format: length uint64, its checksum uint32, so many bytes, their checksum uint32.
    """
    size = path.stat().st_size
    if size == 0:
        return 0
    count, position = _count_in_stream(path, size) if is_remote(path) else _count_in_memory(path, size)
    if position > size:
        raise DataError(f"{path}: ends within record {count}; expected a whole TFRecord file; copy it or make it again")
    return count


def _count_in_memory(path: Path, size: int) -> tuple[int, int]:
    """Records, and where the last one ends."""
    count = position = 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while position < size:
            length = int.from_bytes(content[position : position + _LENGTH_BYTES], "little")
            position += length + _BYTES_AROUND_A_RECORD
            count += 1
    return count, position


def _count_in_stream(path: Path, size: int) -> tuple[int, int]:
    """Records, and where the last one ends, of a file that cannot be mapped into memory."""
    count = position = 0
    with path.open("rb") as stream:
        while position < size:
            stream.seek(position)
            position += int.from_bytes(stream.read(_LENGTH_BYTES), "little") + _BYTES_AROUND_A_RECORD
            count += 1
    return count, position


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
