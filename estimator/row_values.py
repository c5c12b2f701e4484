"""Values of each row of a record set, computed once and kept beside the records.

    train.features            a vector after the other, then where each row's begin and how many they are
    train.features.json       what they were computed from, and the digest of the file

The file is written under a temporary name and renamed; its description follows. Without one, or with one that does not
match, the values are computed again.
"""

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError, one_line
from common.files import atomic_path, file_digest, json_object, write_atomically
from processors.records.record_sets import RecordSet

log = logging.getLogger(__name__)

_MIB = 1 << 20

Rows = Callable[[], Iterable[tuple[int, NDArray[Any]]]]
"""Gives the number of each row with its vectors `[n, D]`, in any order."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a file of values has to hold.

    Args:
      what: they are, for messages.
      suffix: of the file, beside that of the records.
      name: key that the values get in a batch.
      made_of: whatever decides them besides the records, as plain JSON.
      dtype: `float32` or `float16`.
      is_sequence: several vectors a row, and not one.
      width: of a vector.
      most: vectors at most, for the disk.
      advice: what else to do where the disk has no room.
      notes: what is found on the way, filled by the time that all rows are given; the description keeps it.
    """

    what: str
    suffix: str
    name: str
    made_of: Mapping[str, Any]
    dtype: str
    is_sequence: bool
    width: int
    most: int
    advice: str = "choose another --output_dir"
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)

    def path(self, record_set: RecordSet) -> Path:
        """Where they are."""
        return record_set.path.with_suffix(self.suffix)


class RowValues:
    """A finished file of values.

    Args:
      name: key that they get in a batch.
      path: the file.
      described: its description.

    Attributes:
      shapes: of a batch of what `read` gives, None for what differs.
    """

    def __init__(self, name: str, path: Path, described: Mapping[str, Any]) -> None:
        count, width, rows = (int(described[key]) for key in ("vectors", "width", "rows"))
        self.name, self.described = name, described
        self._is_sequence = bool(described["is_sequence"])
        self._vectors = np.memmap(path, described["dtype"], "r", 0, (count, width))
        self._places = np.fromfile(path, np.int64, 2 * rows, offset=self._vectors.nbytes).reshape(rows, 2)
        self.shapes: dict[str, tuple[int | None, ...]] = {
            name: (None, None, width) if self._is_sequence else (None, width)
        }

    def read(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Vectors of some rows, float32 `[B, D]`, or `[B, S, D]` with zeros behind each row's last."""
        places = self._places[rows]
        if not self._is_sequence:
            return {self.name: np.asarray(self._vectors[places[:, 0]], np.float32)}
        found = np.zeros((len(rows), int(places[:, 1].max()), self._vectors.shape[1]), np.float32)
        for index, (start, length) in enumerate(places):
            found[index, :length] = self._vectors[start : start + length]
        return {self.name: found}


def built(record_set: RecordSet, wanted: Wanted, rows: Rows) -> RowValues:
    """The values for a record set, computed only where equal ones are not there.

    Args:
      record_set: the rows.
      wanted: the values.
      rows: computes them.

    Raises:
      DataError: the disk has no room.
    """
    path = wanted.path(record_set)
    asked = {**wanted.made_of, "dtype": wanted.dtype, "is_sequence": wanted.is_sequence}
    asked = json.loads(json.dumps({**asked, "records": file_digest(record_set.path)}))  # as it is read later
    described = _described(path, asked)
    if described is not None:
        log.info("reusing %s in %s", wanted.what, path)
        return RowValues(wanted.name, path, described)
    _check_room(path, wanted, record_set.num_records)
    started = time.monotonic()
    _manifest(path).unlink(missing_ok=True)
    try:
        with atomic_path(path) as temporary:
            count = _write(temporary, record_set.num_records, wanted.dtype, rows)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({one_line(error)}); free disk space, then run again") from error
    described = {**asked, "vectors": count, "width": wanted.width, "rows": record_set.num_records, **wanted.notes}
    described["sha256"] = file_digest(path)
    write_atomically(_manifest(path), json.dumps(described, indent=2, sort_keys=True) + "\n")
    seconds = max(time.monotonic() - started, 1e-9)
    log.info("computed them once for %d rows (%.0f rows/s)", record_set.num_records, record_set.num_records / seconds)
    return RowValues(wanted.name, path, described)


def _check_room(path: Path, wanted: Wanted, rows: int) -> None:
    size = wanted.most * wanted.width * np.dtype(wanted.dtype).itemsize + rows * 16
    free = shutil.disk_usage(path.parent).free
    what = f"{wanted.most:,} vectors of {wanted.width} in {wanted.dtype}"
    if size > free:
        raise DataError(
            f"{path}: {wanted.what} need {size / _MIB:,.0f} MiB ({what}), and {free / _MIB:,.0f} MiB are free; "
            f"free disk space, or {wanted.advice}"
        )
    log.info("%s will take %.1f MiB in %s: %s", wanted.what, size / _MIB, path, what)


def _write(path: Path, count_of_rows: int, dtype: str, rows: Rows) -> int:
    """Writes the values of all rows; gives the number of vectors."""
    places, count = np.zeros((count_of_rows, 2), np.int64), 0
    with path.open("wb") as stream:
        for row, vectors in rows():
            stream.write(np.ascontiguousarray(vectors, dtype).tobytes())
            places[row] = (count, len(vectors))
            count += len(vectors)
        stream.write(places.tobytes())
    return count


def _described(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The description of a file that is whole and was computed from this; None where there is none."""
    if not (path.is_file() and _manifest(path).is_file()):
        return None
    try:
        described = json_object(_manifest(path).read_bytes())
    except ValueError as error:
        log.warning("computing %s again: its description %s", path, error)
        return None
    if any(described.get(key) != value for key, value in wanted.items()):
        log.info("computing %s again: its rows, weights or settings have changed", path)
        return None
    if described.get("sha256") != file_digest(path):
        log.warning("computing %s again: its content does not match its description", path)
        return None
    return described


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + ".json")
