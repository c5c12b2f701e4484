"""Records of pretraining: upstream's fields, and files that are whole or absent.

input_ids, input_mask, segment_ids                            a sequence
masked_lm_positions, masked_lm_ids, masked_lm_weights         what is to be predicted in it
next_sentence_labels                                          0 goes on, 1 does not; absent without pairs
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import file_digest
from processors.pretraining.corpus import matching_files
from processors.pretraining.instances import TrainingInstance
from processors.records import record_sets
from processors.records.featurizer import sequence_fields
from processors.records.manifests import manifest_path, read_manifest_of, write_manifest_of
from processors.records.schema import FeatureSpec, Field

REPORT_SUFFIX = ".report.json"


def pretraining_spec(max_seq_length: int, max_predictions_per_seq: int, next_sentence: bool = True) -> FeatureSpec:
    """The schema of pretraining records; reads padded and unpadded ones alike.

    Args:
      max_seq_length: most tokens of a sequence.
      max_predictions_per_seq: most masked tokens in one.
      next_sentence: whether the records have `next_sentence_labels`.
    """
    limit = max_predictions_per_seq
    guesses = (
        Field("masked_lm_positions", shape=(None,), static=limit),
        Field("masked_lm_ids", shape=(None,), static=limit),
        Field("masked_lm_weights", "float32", (None,), default=0.0, static=limit),
    )
    labels = (Field("next_sentence_labels"),) if next_sentence else ()
    return FeatureSpec((*sequence_fields(max_seq_length), *guesses, *labels))


def record_files(patterns: str, flag: str = "--input_file") -> list[Path]:
    """Record files of a comma-separated list of globs; manifests, reports and unfinished files are not among them.

    Raises:
      DataError: a pattern matches no file, or no records.
    """
    matched = matching_files(patterns, flag)
    found = [path for path in matched if path.suffix != ".json" and ".tmp-" not in path.name]
    if not found:
        raise DataError(
            f"{flag}: {patterns!r} matches {len(matched)} files but no records; "
            "expected what create_pretraining_data.py wrote to --output_file"
        )
    return found


@dataclasses.dataclass(frozen=True)
class InstanceSerializer:
    """Turns instances of ids into serialized `tf.Example`s.

    Args:
      max_seq_length: length that sequences are padded to.
      max_predictions_per_seq: length that predictions are padded to.
      next_sentence: write `next_sentence_labels`.
      pad: write rows of one length, as google-research/bert reads them; otherwise leave the padding out.
      pad_id: what pads ids.
    """

    max_seq_length: int
    max_predictions_per_seq: int
    next_sentence: bool = True
    pad: bool = True
    pad_id: int = 0

    @property
    def spec(self) -> FeatureSpec:
        """The schema of these records."""
        return pretraining_spec(self.max_seq_length, self.max_predictions_per_seq, self.next_sentence)

    def serializer(self) -> Any:
        """A function from an instance to bytes."""
        spec = self.spec

        def serialize(instance: TrainingInstance) -> bytes:
            return spec.serialize(self.features(instance))

        return serialize

    def features(self, instance: TrainingInstance) -> dict[str, Any]:
        """The fields of one record, padded if so set."""
        length, guesses = len(instance.tokens), len(instance.masked_lm_positions)
        rest = [0] * (self.max_seq_length - length if self.pad else 0)
        spare = [0] * (self.max_predictions_per_seq - guesses if self.pad else 0)
        features: dict[str, Any] = {
            "input_ids": instance.tokens + [self.pad_id] * len(rest),
            "input_mask": [1] * length + rest,
            "segment_ids": instance.segment_ids + rest,
            "masked_lm_positions": instance.masked_lm_positions + spare,
            "masked_lm_ids": instance.masked_lm_labels + spare,
            "masked_lm_weights": [1.0] * guesses + spare,
        }
        if self.next_sentence:
            features["next_sentence_labels"] = [int(bool(instance.is_random_next))]
        return features


class RecordSink:
    """Deals records out over files in turn.

    Args:
      writers: open `tf.io.TFRecordWriter`s.

    Attributes:
      counts: records written to each file.
    """

    def __init__(self, writers: Sequence[Any]) -> None:
        self._writers = writers
        self._next = 0
        self.counts = [0] * len(writers)

    def write(self, serialized: Iterable[bytes]) -> None:
        """Writes records to the files in turn, going on where the last call ended."""
        for record in serialized:
            self._writers[self._next].write(record)
            self.counts[self._next] += 1
            self._next = (self._next + 1) % len(self._writers)


@contextlib.contextmanager
def record_sink(paths: Sequence[Path]) -> Iterator[RecordSink]:
    """Opens record files that appear at `paths` only once the block has ended well.

    Raises:
      DataError: the folder cannot be written to, or the disk is full.
    """
    with record_sets.record_writers(paths, "choose another --output_file") as writers:
        yield RecordSink(writers)


def write_manifest(path: Path, digest: str, spec: FeatureSpec, num_records: int, statistics: dict[str, Any]) -> None:
    """Writes what a finished record file was made from beside it; `record_sets.load` reads it.

    Args:
      path: the record file.
      digest: fingerprint of everything it depends on.
      spec: schema of its records.
      num_records: how many there are.
      statistics: counts of the text that it was made from, for the report.
    """
    manifest = {
        "format_version": record_sets.FORMAT_VERSION,
        "fingerprint": digest,
        "sha256": file_digest(path),
        "spec": spec.to_json(),
        "num_examples": num_records,
        "num_records": num_records,
        "statistics": statistics,
    }
    write_manifest_of(path, manifest)


def remove_records(paths: Iterable[Path]) -> None:
    """Removes record files and their manifests."""
    for path in paths:
        manifest_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def read_manifest(path: Path, digest: str | None = None) -> dict[str, Any] | None:
    """The manifest of a finished record file; None where it is absent, unfinished, or made from something else."""
    if record_sets.load(path, digest) is None:
        return None
    manifest = read_manifest_of(path)
    return manifest if manifest and isinstance(manifest.get("statistics"), dict) else None


def shard_paths(outputs: Sequence[Path], num_shards: int | None) -> list[Path]:
    """Names of the files to write: one output becomes `NAME-00000-of-00010` and so on, several stay as they are.

    Args:
      outputs: at least one path.
      num_shards: as many files as this; None for one per output.
    """
    if num_shards is None or len(outputs) > 1 or num_shards == 1:
        return list(outputs)
    (output,) = outputs
    return [output.with_name(f"{output.name}-{index:05d}-of-{num_shards:05d}") for index in range(num_shards)]
