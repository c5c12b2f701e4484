"""Rows of similar length in a batch, and their order restored afterwards.

Attention is computed at the length of the longest row of a batch, so a short row costs as much as the long one beside
it. Rows are therefore sorted by length within a window, and each carries its number, by which its output is put back.
Never more than a window of rows or outputs is held.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from processors.records.schema import FeatureSpec

ROW_INDEX = "row_index"
"""Number of a row in its record set, int64 `[B]`: a field of batches whose rows are not in order."""
ROWS_SORTED_AT_ONCE = 4096
BATCHES_SORTED_AT_ONCE = 16
"""Batches of what arrives as text: few enough that the first answer does not wait long."""

T = TypeVar("T")


def sorted_batches(records: Any, spec: FeatureSpec, batch_size: int) -> Any:
    """Batches of records, longest first within each window.

    So a batch that is too large for the memory shows at once, and not after hours.

    Args:
      records: a `tf.data.Dataset` of serialized `tf.Example`s.
      spec: theirs; `input_mask` gives the length of a row.
      batch_size: rows a batch.

    Returns:
      A `tf.data.Dataset` of serialized examples `[B]` and their numbers, int64 `[B]`.
    """
    import tensorflow as tf

    mask = {"input_mask": spec.parse_spec()["input_mask"]}
    window = batch_size * max(ROWS_SORTED_AT_ONCE // batch_size, 1)

    def by_length(numbers: Any, rows: Any) -> tuple[Any, Any]:
        lengths = tf.reduce_sum(tf.io.parse_example(rows, mask)["input_mask"], axis=1)
        order = tf.argsort(lengths, direction="DESCENDING", stable=True)
        return tf.gather(rows, order), tf.gather(numbers, order)

    # A window is whole batches, so no batch mixes the end of one with the start of the next.
    return records.enumerate().batch(window).map(by_length).rebatch(batch_size)


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Indices of rows from the longest to the shortest, equal ones in order.

    Example:
      >>> longest_first([2, 9, 2, 5])
      [1, 3, 0, 2]
    """
    return sorted(range(len(lengths)), key=lambda index: -lengths[index])


def in_order(numbered: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Yields items by their numbers 0, 1, ..., each as soon as all before it are there.

    Example:
      >>> list(in_order([(2, "c"), (0, "a"), (1, "b")]))
      ['a', 'b', 'c']
    """
    waiting: dict[int, T] = {}
    next_number = 0
    for number, item in numbered:
        waiting[number] = item
        while next_number in waiting:
            yield waiting.pop(next_number)
            next_number += 1
