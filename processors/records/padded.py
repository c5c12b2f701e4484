"""Records as arrays, without TensorFlow: what `input_fn` makes of them in the graph."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from processors.records.schema import Features, FeatureSpec


def padded(
    spec: FeatureSpec, rows: Sequence[Features], names: Iterable[str] | None = None
) -> dict[str, NDArray[np.int32]]:
    """A batch of records of whole numbers.

    Args:
      spec: of the records; says what pads a sequence.
      rows: the records, at least one.
      names: of the sequences to give; all of them by default.

    Returns:
      int32 [N, longest row] by name.
    """
    fields = {field.name: field for field in spec.fields if field.is_sequence}
    batch = {}
    for name in fields if names is None else names:
        values = [row[name] for row in rows]
        length = max(len(value) for value in values)
        made = np.full((len(rows), length), fields[name].default, np.int32)
        for row, value in zip(made, values, strict=True):
            row[: len(value)] = value
        batch[name] = made
    return batch
