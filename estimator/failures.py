"""What TensorFlow raises for a user's error, as one line."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from common.errors import BertError, DataError, one_line
from estimator import devices
from estimator.hooks.progress import not_finite
from estimator.memory import full_disk
from processors.records import record_sets


@contextlib.contextmanager
def running(record_set: record_sets.RecordSet, deterministic: bool) -> Iterator[None]:
    """Around every run of a graph on a record set: `one_line_errors`, and deterministic operations where asked for."""
    with one_line_errors(record_set), devices.deterministic_operations(deterministic):
        yield


@contextlib.contextmanager
def one_line_errors(record_set: record_sets.RecordSet) -> Iterator[None]:
    """Names the error of a block that reads a record set.

    Raises:
      DataError: a record is damaged; a record set that was made here is removed, so that the next run makes it again.
      BertError: the loss became NaN, or memory or disk did not suffice.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise _damaged(record_set, str(error.message).splitlines()[0]) from error
    except tf.errors.InvalidArgumentError as error:
        # What the graph refuses of records that were made here is a bug; of others, it can be their content.
        if "ParseExample" not in str(error.message) and not record_set.given:
            raise
        raise _misfit(record_set, _told(error)) from error
    except tf.compat.v1.train.NanLossDuringTrainingError as error:
        raise not_finite() from error
    except tf.errors.ResourceExhaustedError as error:
        full = full_disk(error)
        if full is not None:
            raise BertError(f"the disk is full ({full}); free disk space, then run the same command again") from error
        raise BertError(
            f"out of memory ({str(error.message).splitlines()[0]}); halve the batch size or --max_seq_length"
        ) from error


def _told(error: tf.errors.InvalidArgumentError) -> str:
    """The line of an error that says what is wrong, without those that say where in the graph."""
    lines = [line.strip() for line in str(error.message).splitlines()]
    where = ("Graph execution error", "Detected at", "File ", "Node:", "[[", "Original stack", "(0) ", "(1) ")
    return one_line(next((line for line in lines if line and not line.startswith(where)), lines[0]), 120)


def _misfit(record_set: record_sets.RecordSet, reason: str) -> DataError:
    if record_set.given:
        return DataError(
            f"{_names(record_set)}: a record is not as the task reads it ({reason}); make the records again with the "
            "flags of this run"
        )
    record_set.path.unlink(missing_ok=True)
    return DataError(
        f"{record_set.path}: a record is not as the task reads it ({reason}); it was removed; run again to rebuild it"
    )


def _names(record_set: record_sets.RecordSet) -> str:
    return ", ".join(map(str, record_set.files[:3])) + (", ..." if len(record_set.files) > 3 else "")


def _damaged(record_set: record_sets.RecordSet, reason: str) -> DataError:
    path = record_set.path
    if record_set.given:
        return DataError(f"{_names(record_set)}: corrupt record ({reason}); copy the records or make them again")
    path.unlink(missing_ok=True)
    return DataError(f"{path}: corrupt record ({reason}); it was removed; run again to rebuild it")
