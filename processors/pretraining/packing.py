"""Several short instances in one row of pretraining records: work for places that would otherwise be padding.

Rows of one length (TPU, XLA) cost the same however much of them is padding. Here whole instances share a row, each of
them seeing only itself: attention stays within equal `sequence_ids`, and positions begin anew. Fields beside those of
upstream, for S tokens and P predictions a row:

position_ids              [S]  0, 1, 2, ... from the start of each instance
sequence_ids              [S]  1 for the first instance, 2 for the second, ...; 0 for padding
next_sentence_positions   [P]  where each instance begins: its [CLS]
next_sentence_labels      [P]  0 goes on, 1 does not; absent without pairs, as are positions and weights
next_sentence_weights     [P]  1.0 for an instance, 0.0 for padding

`masked_lm_positions` count from the start of the row.

Source: arXiv:2107.02027, whose attention mask and positions these are.
Differences: rows are filled in the order of the shuffled instances, not by their lengths over the whole corpus.
"""

import array
import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from processors.pretraining.corpus import CorpusStatistics
from processors.pretraining.instance_records import InstanceSerializer, pretraining_spec
from processors.pretraining.instances import InstanceSettings, TrainingInstance
from processors.records.schema import FeatureSpec, Field

OPEN_ROWS = 16
"""Rows that are filled at once: more of them fill hardly better, and take instances out of their shuffled order."""
SEQUENCE_FIELDS = ("position_ids", "sequence_ids")
NEXT_SENTENCE_FIELDS = ("next_sentence_positions", "next_sentence_labels", "next_sentence_weights")

Row = list[TrainingInstance]

log = logging.getLogger(__name__)


def packed_spec(max_seq_length: int, max_predictions_per_seq: int, next_sentence: bool = True) -> FeatureSpec:
    """The schema of packed records; reads padded and unpadded ones alike.

    Args:
      max_seq_length: most tokens of a row.
      max_predictions_per_seq: most masked tokens in a row, and most instances with a label in it.
      next_sentence: whether the records have labels for next-sentence prediction.
    """
    positions, labels, weights = NEXT_SENTENCE_FIELDS
    limit = max_predictions_per_seq
    by_instance = (
        Field(positions, shape=(None,), static=limit),
        Field(labels, shape=(None,), static=limit),
        Field(weights, "float32", (None,), default=0.0, static=limit),
    )
    return FeatureSpec(
        (
            *pretraining_spec(max_seq_length, limit, next_sentence=False).fields,
            *(Field(name, shape=(None,), static=max_seq_length) for name in SEQUENCE_FIELDS),
            *(by_instance if next_sentence else ()),
        )
    )


@dataclasses.dataclass(frozen=True)
class RowSerializer:
    """Turns rows of instances of ids into serialized `tf.Example`s.

    Args:
      max_seq_length: length that rows are padded to.
      max_predictions_per_seq: length that predictions and labels are padded to.
      next_sentence: write labels for next-sentence prediction.
      pad: write rows of one length; otherwise leave the padding out.
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
        return packed_spec(self.max_seq_length, self.max_predictions_per_seq, self.next_sentence)

    def records(self, instances: Sequence[TrainingInstance], counts: CorpusStatistics) -> list[bytes]:
        """Packs instances and serializes the rows; the instances and their tokens are added to the counts."""
        counts.packed_instances += len(instances)
        counts.packed_pieces += sum(len(instance.tokens) for instance in instances)
        spec = self.spec
        rows = packed_rows(instances, self.max_seq_length, self.max_predictions_per_seq)
        return [spec.serialize(self.features(row)) for row in rows]

    def features(self, row: Row) -> dict[str, Any]:
        """The fields of one record, padded if so set."""
        alone = InstanceSerializer(self.max_seq_length, self.max_predictions_per_seq, False, self.pad, self.pad_id)
        lengths = [len(instance.tokens) for instance in row]
        positions = [position for length in lengths for position in range(length)]
        numbers = [number for number, length in enumerate(lengths, start=1) for _ in range(length)]
        features = alone.features(_joined(row))
        for name, values in zip(SEQUENCE_FIELDS, (positions, numbers), strict=True):
            features[name] = self._padded(values, self.max_seq_length)
        if self.next_sentence:
            labels = [int(bool(instance.is_random_next)) for instance in row]
            by_instance: tuple[list[Any], ...] = (_starts(row), labels, [1.0] * len(row))
            for name, values in zip(NEXT_SENTENCE_FIELDS, by_instance, strict=True):
                features[name] = self._padded(values, self.max_predictions_per_seq)
        return features

    def _padded(self, values: list[Any], length: int) -> list[Any]:
        return values + [0] * (length - len(values) if self.pad else 0)


def packed_rows(
    instances: Iterable[TrainingInstance], max_seq_length: int, max_predictions_per_seq: int
) -> Iterator[Row]:
    """Puts each instance into the first of a few open rows that has room for it; the fullest gives way to a new one.

    Args:
      instances: in their final order; none longer than a row.
      max_seq_length: most tokens of a row.
      max_predictions_per_seq: most masked tokens in a row, and most instances.

    Yields:
      Rows of at least one instance. What they hold depends on the order of the instances alone.
    """
    rows: list[_OpenRow] = []
    for instance in instances:
        row = next((row for row in rows if row.has_room(instance)), None)
        if row is None:
            if len(rows) == OPEN_ROWS:
                fullest = max(range(OPEN_ROWS), key=lambda index: rows[index].share_filled)
                yield rows.pop(fullest).instances
            row = _OpenRow(max_seq_length, max_predictions_per_seq)
            rows.append(row)
        row.add(instance)
    for row in rows:
        yield row.instances


class _OpenRow:
    def __init__(self, max_seq_length: int, max_predictions_per_seq: int) -> None:
        self.instances: Row = []
        self._limits = (max_seq_length, max_predictions_per_seq)
        self._pieces = self._guesses = 0

    @property
    def share_filled(self) -> float:
        """Of its tokens or of its predictions, whichever leaves less room."""
        return max(self._pieces / self._limits[0], self._guesses / self._limits[1])

    def has_room(self, instance: TrainingInstance) -> bool:
        """Whether the row stays within its limits with another instance."""
        pieces, guesses = self._limits
        return (
            self._pieces + len(instance.tokens) <= pieces
            and self._guesses + len(instance.masked_lm_positions) <= guesses
            # Whole-word masking may leave an instance without a prediction, but each has a label.
            and len(self.instances) < guesses
        )

    def add(self, instance: TrainingInstance) -> None:
        """Puts an instance behind the others."""
        self.instances.append(instance)
        self._pieces += len(instance.tokens)
        self._guesses += len(instance.masked_lm_positions)


def compact(instance: TrainingInstance) -> TrainingInstance:
    """An instance in half of the memory, to wait among all others of a corpus until they are shuffled."""
    tokens: Any = array.array("i", instance.tokens)
    segment_ids: Any = bytes(instance.segment_ids)
    return instance._replace(tokens=tokens, segment_ids=segment_ids)


def report(counts: CorpusStatistics, rows: int, settings: InstanceSettings) -> dict[str, Any]:
    """Logs and returns what a report says of packed rows; nothing where each instance has its own.

    Args:
      counts: of the packed instances and their tokens.
      rows: records that hold them.
      settings: that the instances were made with.

    Returns:
      `rows`, `instances_per_row`, and of the places of a row the `share_filled`, and the `share_filled_unpacked`, which
      it would be with an instance a row.
    """
    instances, pieces = counts.packed_instances, counts.packed_pieces
    if not instances:
        return {}
    packed, unpacked = (pieces / (number * settings.max_seq_length) for number in (rows, instances))
    log.info(
        "packed %d instances into %d rows, %.2f a row: rows are %.1f%% filled, %.1f%% with an instance each",
        instances, rows, instances / rows, 100 * packed, 100 * unpacked,
    )  # fmt: skip
    if not settings.next_sentence:
        log.warning(
            "--pack_sequences with --no_nsp: instances of full sentences fill %.1f%% of a row by themselves, %.1f%% "
            "packed; without the flag every script for pretraining can read the records",
            100 * unpacked, 100 * packed,
        )  # fmt: skip
    return {
        "rows": rows,
        "instances_per_row": round(instances / rows, 4),
        "share_filled": round(packed, 4),
        "share_filled_unpacked": round(unpacked, 4),
    }


def _starts(row: Row) -> list[int]:
    lengths = (len(instance.tokens) for instance in row)
    return list(itertools.accumulate(lengths, initial=0))[:-1]


def _joined(row: Row) -> TrainingInstance:
    """The instances one behind the other, as one; masked positions count from the start of the row."""
    guesses = ((start, instance.masked_lm_positions) for start, instance in zip(_starts(row), row, strict=True))
    return TrainingInstance(
        _chained(instance.tokens for instance in row),
        _chained(instance.segment_ids for instance in row),
        [start + position for start, positions in guesses for position in positions],
        _chained(instance.masked_lm_labels for instance in row),
        is_random_next=None,
    )


def _chained(parts: Iterable[Sequence[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(parts))
