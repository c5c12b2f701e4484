"""Record sets: TFRecord files that are whole or absent, with a manifest that says what they were made from.

    train.tf_record                 records, in the order of the examples
    train.tf_record.manifest.json   format version, spec, counts, digest, fingerprint of every input
    predict.tf_record.rows.jsonl    where rows are printed later: a JSON line an example, from the same pass

A set is written under a temporary name and renamed; its manifest follows. So a file without a manifest, or one whose
bytes do not match it, was left by a run that was interrupted: it is rebuilt and never read.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from common.files import atomic_writer, file_digest, rename_durably
from common.garbage_collection import old_objects_left_alone
from common.workers import ordered_map
from processors.records.featurizer import Featurizer, chunked
from processors.records.manifests import count_by_lengths, manifest_path, read_manifest_of, write_manifest_of

FORMAT_VERSION = 1
CHUNK_EXAMPLES = 512
"""Examples that travel to a converting process at once."""
PARALLEL_FROM_BYTES = 8 << 20
"""Data files smaller than this are converted in this process: starting others would take longer."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RecordSet:
    """A finished record file and what its manifest says of it.

    Args:
      path: the TFRecord file; the first one where several were given.
      num_examples: examples converted.
      num_records: records written (windows; equals `num_examples` where an example is one window).
      reused: whether it was found finished rather than written now.
      given: finished files of the user's that are read as they are, and never rebuilt or removed.
      has_rows: whether `rows` can be read.
    """

    path: Path
    num_examples: int
    num_records: int
    reused: bool
    given: tuple[Path, ...] = ()
    has_rows: bool = False

    def rows(self) -> Iterator[dict[str, Any]]:
        """What was stored of each example, in the order of the records."""
        with rows_path(self.path).open(encoding="utf-8") as stream:
            for line in stream:
                yield json.loads(line)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file to read, in order."""
        return self.given or (self.path,)


def given(files: Sequence[Path]) -> RecordSet:
    """A record set of finished files; their records are counted.

    Args:
      files: TFRecord files, at least one.

    Raises:
      DataError: a file is truncated.
    """
    count = sum(count_records(path) for path in files)
    return RecordSet(files[0], count, count, reused=True, given=tuple(files))


def count_records(path: Path) -> int:
    """How many records a TFRecord file holds: as its manifest says, else found by reading the lengths in it.

    Raises:
      DataError: it ends within a record.
    """
    try:
        manifest = read_manifest_of(path)
    except ValueError as error:
        log.warning("%s: its manifest %s; the records were counted", path, error)
        manifest = None
    return count_by_lengths(path) if manifest is None else int(manifest["num_records"])


def fingerprint(inputs: dict[str, Any], files: Iterable[Path]) -> str:
    """Digest of plain settings and of the content of files: equal digests give equal records."""
    digest = hashlib.sha256(json.dumps({"format": FORMAT_VERSION, **inputs}, sort_keys=True, default=str).encode())
    for path in files:
        digest.update(f"{path.name}:{file_digest(path)}".encode())
    return digest.hexdigest()


def build(
    path: Path,
    examples: Callable[[], Iterable[Any]],
    featurizer: Featurizer,
    digest: str,
    num_workers: int | None = None,
    stored: Callable[[Any], dict[str, Any]] | None = None,
) -> RecordSet:
    """Returns the record set at `path`, converting `examples()` only where no equal set is there.

    Args:
      path: where the TFRecord file is or will be.
      examples: gives a fresh iterator; not called when the set is reused.
      featurizer: makes the records.
      digest: `fingerprint` of everything the records depend on.
      num_workers: converting processes; None decides by itself, 1 converts in this process. The result is the same.
      stored: what to keep of each example as plain JSON, to be read by `RecordSet.rows`; None keeps nothing.

    Raises:
      DataError: a row that cannot be used, no examples at all, or a disk that is full.
    """
    existing = load(path, digest, with_rows=stored is not None)
    if existing is not None:
        log.info("reusing %d records of %s", existing.num_records, path)
        return existing
    started = time.monotonic()
    with old_objects_left_alone(), _kept_rows(rows_path(path), stored) as kept:
        counts = _write(path, _converted(kept(examples()), featurizer, num_workers or 1), featurizer.numbered)
    if counts["num_examples"] == 0:
        path.unlink()
        rows_path(path).unlink(missing_ok=True)
        raise DataError(f"no examples to write to {path.name}: the data set has no usable rows; check the data file")
    manifest = {
        "format_version": FORMAT_VERSION,
        "fingerprint": digest,
        "sha256": file_digest(path),
        "spec": featurizer.spec.to_json(),
        **counts,
        **({} if stored is None else {"rows_sha256": file_digest(rows_path(path))}),
    }
    write_manifest_of(path, manifest)
    seconds = max(time.monotonic() - started, 1e-9)
    rate = counts["num_examples"] / seconds
    log.info("wrote %d records to %s (%.0f examples/s)", counts["num_records"], path, rate)
    return RecordSet(path, counts["num_examples"], counts["num_records"], reused=False, has_rows=stored is not None)


def load(path: Path, digest: str | None = None, with_rows: bool = False) -> RecordSet | None:
    """The finished record set at `path`; None if absent, half-written, damaged, or made from something else.

    Args:
      path: the TFRecord file.
      digest: `fingerprint` that it must have.
      with_rows: whether the rows of its examples must be there, too.
    """
    if not path.is_file():
        return None
    try:
        manifest = read_manifest_of(path)
    except (ValueError, DataError) as error:
        log.warning("rebuilding %s: its manifest %s", path, error)
        return None
    if manifest is None:
        return None
    if digest is not None and manifest["fingerprint"] != digest:
        log.info("rebuilding %s: its data, vocabulary or settings have changed", path)
        return None
    if manifest["sha256"] != file_digest(path):
        log.warning("rebuilding %s: its content does not match its manifest", path)
        return None
    if with_rows and not _has_rows(path, manifest):
        log.info("rebuilding %s: the texts of its rows are not stored beside it", path)
        return None
    return RecordSet(path, manifest["num_examples"], manifest["num_records"], reused=True, has_rows=with_rows)


def fingerprint_of(record_set: RecordSet) -> str | None:
    """Digest of what a record set was made of; None for files of the user's that are read as they are."""
    manifest = None if record_set.given else read_manifest_of(record_set.path)
    return None if manifest is None else str(manifest["fingerprint"])


def automatic_workers(files: Iterable[Path]) -> int:
    """How many converting processes pay off for data files of this size on this machine."""
    size = sum(path.stat().st_size for path in files if path.is_file())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if size >= PARALLEL_FROM_BYTES else 1


def rows_path(path: Path) -> Path:
    """Where the stored rows of a record file are."""
    return path.with_name(path.name + ".rows.jsonl")


def _has_rows(path: Path, manifest: dict[str, Any]) -> bool:
    rows = rows_path(path)
    return rows.is_file() and manifest.get("rows_sha256") == file_digest(rows)


@contextlib.contextmanager
def _kept_rows(
    path: Path, stored: Callable[[Any], dict[str, Any]] | None
) -> Iterator[Callable[[Iterable[Any]], Iterable[Any]]]:
    """Gives a function that stores examples on their way; the file appears once the block has ended well."""
    if stored is None:
        yield lambda examples: examples
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as stream:

        def kept(examples: Iterable[Any]) -> Iterator[Any]:
            for example in examples:
                stream.write(json.dumps(stored(example), ensure_ascii=False) + "\n")
                yield example

        yield kept


def _write(
    path: Path, chunks: Iterable[tuple[int, list[bytes]]], numbered: Callable[[bytes, int], bytes]
) -> dict[str, int]:
    """Writes serialized records and counts them."""
    num_examples = num_records = 0
    with record_writers([path], "choose another --output_dir") as (writer,):
        for examples, records in chunks:
            num_examples += examples
            for index, record in enumerate(records, num_records):
                writer.write(numbered(record, index))
            num_records += len(records)
    return {"num_examples": num_examples, "num_records": num_records}


@contextlib.contextmanager
def record_writers(paths: Sequence[Path], remedy: str) -> Iterator[list[Any]]:
    """Opens TFRecord files that appear at `paths`, without manifests, only once the block has ended well.

    Args:
      paths: where the files will be; their folders are made.
      remedy: what else the user can do where the disk is full, to end the message with.

    Raises:
      DataError: a folder cannot be written to, or the disk is full.
    """
    import tensorflow as tf

    temporaries = [path.with_name(f"{path.name}.tmp-{platform.node()}-{os.getpid()}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            manifest_path(path).unlink(missing_ok=True)
            _remove_leftovers(path)
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(tf.io.TFRecordWriter(str(path))) for path in temporaries]
        for temporary, path in zip(temporaries, paths, strict=True):
            rename_durably(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        raise DataError(
            f"{paths[0]}: writing records failed ({one_line(getattr(error, 'message', error))}); "
            f"free disk space or {remedy}, then run again"
        ) from error
    finally:
        for temporary in temporaries:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Removes what killed processes of this machine left of `path`; that of running ones stays."""
    for temporary in path.parent.glob(glob.escape(f"{path.name}.tmp-{platform.node()}-") + "*"):
        process = temporary.name.rpartition("-")[2]
        if process.isdecimal() and not _is_running(int(process)):
            temporary.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 is a signal
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _converted(examples: Iterable[Any], featurizer: Featurizer, num_workers: int) -> Iterator[tuple[int, list[bytes]]]:
    """Pairs of (examples, their serialized records) in the order of the examples, whatever the number of workers."""
    with ordered_map(featurizer.serialize_counted, num_workers) as serialize:
        yield from serialize(chunked(examples, CHUNK_EXAMPLES))
