"""A second pass over the examples of a record set, held against its records.

A data set that shuffles without a seed, or whose file changes meanwhile, gives other rows each time; what is computed
from the records would stand beside other texts.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError
from processors.records.featurizer import Featurizer, chunked
from processors.records.record_sets import CHUNK_EXAMPLES, RecordSet
from processors.records.schema import Features

_LENGTH = struct.Struct("<Q")
_CHECKSUM_BYTES = 4


def held_against(
    record_set: RecordSet, featurizer: Featurizer, examples: Iterable[Any], split: str
) -> Iterator[tuple[Any, list[Features]]]:
    """Examples with their windows, each of which has to be the record in its place.

    Args:
      record_set: converted by this featurizer.
      featurizer: makes the windows again.
      examples: in the order in which they were converted.
      split: whose they are, for the message.

    Raises:
      DataError: they are others, more or fewer.
    """
    records = raw_records(record_set.path)
    number = 0
    for chunk in chunked(examples, CHUNK_EXAMPLES):
        for example, windows in zip(chunk, featurizer.featurize(chunk), strict=True):
            for window in windows:
                if next(records, None) != featurizer.numbered(featurizer.spec.serialize(window), number):
                    raise other_rows(split, record_set)
                number += 1
            yield example, windows
    if next(records, None) is not None:
        raise other_rows(split, record_set)


def raw_records(path: Path) -> Iterator[bytes]:
    """The serialized records of a TFRecord file, in any context of TensorFlow; checksums are not looked at.

    Source of the format: tensorflow.org/tutorials/load_data/tfrecord.
    """
    with path.open("rb") as stream:
        while header := stream.read(_LENGTH.size + _CHECKSUM_BYTES):
            record = stream.read(_LENGTH.unpack_from(header)[0])
            stream.seek(_CHECKSUM_BYTES, 1)
            yield record


def other_rows(split: str, record_set: RecordSet) -> DataError:
    """What to say where a task gives other examples than those that were converted."""
    return DataError(
        f"{record_set.path}: the {split} split gives other rows, or in another order, than when its "
        f"{record_set.num_examples} examples were converted; do not change the data while it is read, and shuffle with "
        "a fixed seed or not at all; then run the same command again"
    )
