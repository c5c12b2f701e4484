"""Pretraining records that others may have written, checked against the flags of a run before any training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from errors import DataError, one_line

RECORDS_LOOKED_AT = 200
"""Records checked at the start of each file."""
REQUIRED = (
    "input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights",
)  # fmt: skip


def has_next_sentence_labels(
    files: Sequence[Path], max_seq_length: int, max_predictions_per_seq: int, vocab_size: int
) -> bool:
    """Checks the first records of every file.

    Args:
      files: TFRecord files, at least one.
      max_seq_length: of the run; padded rows must be of this length, others no longer.
      max_predictions_per_seq: of the run; likewise for masked pieces.
      vocab_size: of the model.

    Returns:
      Whether all files have labels for next-sentence prediction; False where none has.

    Raises:
      DataError: a file is no record file, empty, or does not fit the run or the other files.
    """
    labelled = dict.fromkeys(files, False)
    for path in files:
        for number, row in enumerate(_first_rows(path), start=1):
            where = f"{path}: record {number}"
            _check_fields(where, row)
            _check_length(where, row["input_mask"], len(row["input_ids"]), "max_seq_length", max_seq_length)
            guesses, limit = row["masked_lm_weights"], max_predictions_per_seq
            _check_length(where, guesses, len(row["masked_lm_positions"]), "max_predictions_per_seq", limit)
            _check_values(where, row, vocab_size)
            labelled[path] = "next_sentence_labels" in row
    if len(set(labelled.values())) > 1:
        some, none = (next(path for path, has in labelled.items() if has is wanted) for wanted in (True, False))
        raise DataError(
            f"{some} has next_sentence_labels and {none} has none; "
            "give files that were made with the same --no_nsp of create_pretraining_data.py"
        )
    return all(labelled.values())


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
    missing = [name for name in REQUIRED if name not in row]
    if missing:
        raise DataError(
            f"{where} has no {', '.join(missing)} (it has {', '.join(sorted(row)) or 'no fields'}); "
            "expected pretraining records, made by create_pretraining_data.py"
        )


def _check_length(where: str, mask: list[Any], length: int, flag: str, expected: int) -> None:
    padded = bool(mask) and not mask[-1]
    if length > expected or (padded and length != expected):
        raise DataError(
            f"{where} is made for {flag} {length}{'' if padded else ' or more'}, but --{flag}={expected}; "
            f"give --{flag}={length}, or make the records again"
        )


def _check_values(where: str, row: dict[str, list[Any]], vocab_size: int) -> None:
    ids = [*row["input_ids"], *row["masked_lm_ids"]]
    if ids and not 0 <= min(ids) <= max(ids) < vocab_size:
        wrong = next(value for value in ids if not 0 <= value < vocab_size)
        raise DataError(
            f"{where} has piece id {wrong}, but the model's vocab_size is {vocab_size}; "
            "give the model whose vocabulary the records were made with"
        )
    positions = row["masked_lm_positions"]
    if positions and max(positions) >= len(row["input_ids"]):
        raise DataError(
            f"{where} masks position {max(positions)} of {len(row['input_ids'])}; "
            "the records are damaged, make them again"
        )
