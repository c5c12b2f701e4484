"""Pretraining records that others may have written, checked against the flags of a run before any training."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.pretraining.packing import NEXT_SENTENCE_FIELDS, SEQUENCE_FIELDS

RECORDS_LOOKED_AT = 200
"""Records checked at the start of each file."""
REQUIRED = (
    "input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RecordKind:
    """What the fields of records tell of them.

    Args:
      next_sentence: they have labels for next-sentence prediction.
      packed: several instances share a row.
    """

    next_sentence: bool = True
    packed: bool = False


def kind_of_records(
    files: Sequence[Path], max_seq_length: int, max_predictions_per_seq: int, vocab_size: int, type_vocab_size: int = 2
) -> RecordKind:
    """Checks the first records of every file.

    Args:
      files: TFRecord files, at least one.
      max_seq_length: of the run; padded rows must be of this length, others no longer.
      max_predictions_per_seq: of the run; likewise for masked tokens.
      vocab_size: of the model.
      type_vocab_size: of the model.

    Returns:
      What all of them are.

    Raises:
      DataError: a file is no record file, empty, or does not fit the run or the other files.
    """
    kinds = {}
    for path in files:
        for number, row in enumerate(_first_rows(path), start=1):
            where = f"{path}: record {number}"
            _check_fields(where, row)
            _check_types(where, row)
            _check_length(where, row["input_mask"], len(row["input_ids"]), "max_seq_length", max_seq_length)
            guesses, limit = row["masked_lm_weights"], max_predictions_per_seq
            _check_length(where, guesses, len(row["masked_lm_positions"]), "max_predictions_per_seq", limit)
            _check_sizes(where, row)
            _check_values(where, row, vocab_size, type_vocab_size)
            kinds[path] = RecordKind("next_sentence_labels" in row, "sequence_ids" in row)
            if kinds[path].packed:
                _check_sequences(where, row, limit)
    _check_alike({path: kind.next_sentence for path, kind in kinds.items()}, "next_sentence_labels", "no_nsp")
    _check_alike({path: kind.packed for path, kind in kinds.items()}, "sequence_ids", "pack_sequences")
    return kinds[files[0]]


def _check_alike(has_field: dict[Path, bool], field: str, flag: str) -> None:
    if len(set(has_field.values())) > 1:
        some, none = (next(path for path, has in has_field.items() if has is wanted) for wanted in (True, False))
        raise DataError(
            f"{some} has {field} and {none} has none; "
            f"give files that were made with the same --{flag} of create_pretraining_data.py"
        )


def _first_rows(path: Path) -> list[dict[str, list[Any]]]:
    import tensorflow as tf

    try:
        records = tf.data.TFRecordDataset(str(path)).take(RECORDS_LOOKED_AT).as_numpy_iterator()
        rows = [_values(tf, record) for record in records]
    except Exception as error:
        if not isinstance(error, tf.errors.OpError) and type(error).__name__ != "DecodeError":
            raise
        reason = one_line(getattr(error, "message", error), 100)
        raise DataError(
            f"{path}: is no TFRecord file of tf.Example rows, or damaged ({reason}); "
            "expected what create_pretraining_data.py writes"
        ) from error
    if not rows:
        raise DataError(f"{path}: holds no records; leave it out, or make it again with create_pretraining_data.py")
    return rows


def _values(tf: Any, record: bytes) -> dict[str, list[Any]]:
    features = tf.train.Example.FromString(record).features.feature
    return {name: list(getattr(v, v.WhichOneof("kind") or "int64_list").value) for name, v in features.items()}


def _check_fields(where: str, row: dict[str, list[Any]]) -> None:
    packed = SEQUENCE_FIELDS if "sequence_ids" in row else ()
    labels = NEXT_SENTENCE_FIELDS if packed and "next_sentence_labels" in row else ()
    missing = [name for name in (*REQUIRED, *packed, *labels) if name not in row]
    if missing:
        raise DataError(
            f"{where} has no {', '.join(missing)} (it has {', '.join(sorted(row)) or 'no fields'}); "
            "expected pretraining records, made by create_pretraining_data.py"
        )


def _check_types(where: str, row: dict[str, list[Any]]) -> None:
    known = {name for name in (*REQUIRED, *SEQUENCE_FIELDS, *NEXT_SENTENCE_FIELDS) if name in row}
    for name in sorted(known):
        kind = float if name.endswith("_weights") else int
        wrong = next((value for value in row[name] if not isinstance(value, kind)), None)
        if wrong is not None:
            expected = "floats" if kind is float else "integers"
            raise DataError(
                f"{where}: {name} holds {one_line(repr(wrong), 40)}, expected {expected}; make the records again with "
                "create_pretraining_data.py"
            )


def _check_sizes(where: str, row: dict[str, list[Any]]) -> None:
    """Checks that fields with a value for each token, or for each masked one, are of one length."""
    for names in (REQUIRED[:3], REQUIRED[3:]):
        sizes = {name: len(row[name]) for name in names}
        if len(set(sizes.values())) > 1 or 0 in sizes.values():
            found = ", ".join(f"{size} {name}" for name, size in sizes.items())
            raise DataError(f"{where} has {found}; expected as many of each; the records are damaged, make them again")
    labels = row.get("next_sentence_labels", [0])
    if ("sequence_ids" not in row and len(labels) != 1) or not set(labels) <= {0, 1}:
        raise DataError(
            f"{where} has next_sentence_labels {labels[:4]}, expected one that is 0 or 1; the records are damaged, "
            "make them again"
        )


def _check_length(where: str, mask: list[Any], length: int, flag: str, expected: int) -> None:
    padded = bool(mask) and not mask[-1]
    if length > expected or (padded and length != expected):
        raise DataError(
            f"{where} is made for {flag} {length}{'' if padded else ' or more'}, but --{flag}={expected}; "
            f"give --{flag}={length}, or make the records again"
        )


def _check_values(where: str, row: dict[str, list[Any]], vocab_size: int, type_vocab_size: int) -> None:
    ids = [*row["input_ids"], *row["masked_lm_ids"]]
    if ids and not 0 <= min(ids) <= max(ids) < vocab_size:
        wrong = next(value for value in ids if not 0 <= value < vocab_size)
        raise DataError(
            f"{where} has piece id {wrong}, but the model's vocab_size is {vocab_size}; "
            "give the model whose vocabulary the records were made with"
        )
    positions, length = row["masked_lm_positions"], len(row["input_ids"])
    if not 0 <= min(positions) <= max(positions) < length:
        wrong = next(value for value in positions if not 0 <= value < length)
        raise DataError(f"{where} masks position {wrong} of {length}; the records are damaged, make them again")
    segments = row["segment_ids"]
    if not 0 <= min(segments) <= max(segments) < type_vocab_size:
        wrong = next(value for value in segments if not 0 <= value < type_vocab_size)
        raise DataError(
            f"{where} has segment id {wrong}, but the model's type_vocab_size is {type_vocab_size}; make the records "
            "again, or give the model that they were made for"
        )


def _check_sequences(where: str, row: dict[str, list[Any]], max_predictions_per_seq: int) -> None:
    """Checks what only records with several instances a row have."""
    length = len(row["input_ids"])
    positions, numbers = (row[name] for name in SEQUENCE_FIELDS)
    fits = len(positions) == len(numbers) == length > 0 and 0 <= min(positions) <= max(positions) < length
    if not fits or [number > 0 for number in numbers] != [value > 0 for value in row["input_mask"]]:
        raise DataError(
            f"{where}: position_ids and sequence_ids do not fit its {length} pieces; expected a position below that "
            "for each, and a number above 0 where input_mask is 1; the records are damaged, make them again"
        )
    if "next_sentence_labels" not in row:
        return
    starts, labels, weights = (row[name] for name in NEXT_SENTENCE_FIELDS)
    _check_length(where, weights, len(starts), "max_predictions_per_seq", max_predictions_per_seq)
    if not len(starts) == len(labels) == len(weights) > 0 or not 0 <= min(starts) <= max(starts) < length:
        raise DataError(
            f"{where} has {len(starts)} next_sentence_positions, {len(labels)} labels and {len(weights)} weights; "
            f"expected as many of each, and positions below {length}; the records are damaged, make them again"
        )
