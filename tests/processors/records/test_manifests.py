"""Manifests: their counts are those of the records, and a damaged one is no traceback."""

import json
import logging

import pytest
import tensorflow as tf

from common.errors import DataError
from common.files import file_digest
from processors.records import record_sets
from processors.records.manifests import count_by_lengths, manifest_path, read_manifest_of, write_manifest_of

CONTENT = {"fingerprint": "a", "num_examples": 2, "num_records": 3}


@pytest.fixture
def records(tmp_path):
    """A file of three records with its manifest."""
    path = tmp_path / "train.tf_record"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (b"", b"one", b"more" * 1000):
            writer.write(record)
    write_manifest_of(path, {**CONTENT, "sha256": file_digest(path)})
    return path


def changed(path, **changes):
    """Writes a manifest whose checksum no longer fits."""
    content = json.loads(manifest_path(path).read_text())
    content.update(changes)
    kept = {name: value for name, value in content.items() if value is not None}
    manifest_path(path).write_text(json.dumps(kept))


def test_a_manifest_is_read_back(records):
    assert read_manifest_of(records)["num_records"] == count_by_lengths(records) == 3
    assert record_sets.load(records, "a").num_examples == 2
    assert record_sets.load(records, "b") is None
    manifest_path(records).unlink()
    assert read_manifest_of(records) is None
    assert record_sets.count_records(records) == 3


def test_a_manifest_without_a_checksum_is_as_good_as_its_counts(records):
    changed(records, checksum=None, num_bytes=None)
    assert record_sets.load(records, "a").num_records == 3
    changed(records, num_records=4)
    assert record_sets.load(records, "a") is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_records": 4}, "says 4 records, but the file holds 3"),
        ({"num_records": "3"}, "has no num_records, or not a whole number there"),
        ({"num_records": True}, "has no num_records, or not a whole number there"),
        ({"num_examples": 2.5}, "has no num_examples, or not a whole number there"),
        ({"sha256": None}, "has no sha256, or not a text there"),
        ({"fingerprint": [1]}, "has no fingerprint, or not a text there"),
    ],
)
def test_a_manifest_that_contradicts_its_records(records, caplog, changes, told):
    changed(records, **changes)
    with pytest.raises(ValueError, match=told):
        read_manifest_of(records)
    with caplog.at_level(logging.WARNING):
        assert record_sets.load(records, "a") is None
        assert record_sets.count_records(records) == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"rebuilding {records}: its manifest {told}", f"{records}: its manifest {told}; the records were counted",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is not JSON"), (b"\xff\xfe", "is not"), (b"[]", "holds a JSON array"), (b"[" * 100_000, "is nested")],
)
def test_a_manifest_that_is_none(records, caplog, content, told):
    manifest_path(records).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert record_sets.load(records, "a") is None
    assert caplog.records[0].getMessage().startswith(f"rebuilding {records}: its manifest {told}")


def test_records_that_were_cut_off(records):
    records.write_bytes(records.read_bytes()[:-1])
    assert record_sets.load(records, "a") is None
    with pytest.raises(DataError, match="ends within record 3; expected a whole TFRecord file"):
        record_sets.count_records(records)
    records.write_bytes(b"")
    assert count_by_lengths(records) == 0
