"""Outputs of a model as arrays, for protocols that speak of tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.rows import Description
from tasks import exports
from tasks.answers import Answer

TEXT = "text"
"""Type of strings; numbers have their name in NumPy."""


def type_name(values: NDArray[Any]) -> str:
    """The type of an output, as `Description` has it."""
    return TEXT if values.dtype.kind in "OSU" else values.dtype.name


def output_arrays(description: Description, answers: Sequence[Answer]) -> dict[str, NDArray[Any]]:
    """What the model gave for rows, by output name, a row each; strings are bytes in UTF-8, in an array of objects.

    Args:
      description: of the model.
      answers: of the rows, at least one.
    """
    outputs = exports.reader(description.problem_type).outputs(answers)
    return {
        name: _array(outputs[name], kind, rank) for name, (kind, rank) in description.outputs.items() if name in outputs
    }


def _array(values: Sequence[Any], kind: str, rank: int) -> NDArray[Any]:
    if kind != TEXT:
        array = np.array(values, kind)
        return array if array.size else array.reshape(_shape(values, rank))
    shape = _shape(values, rank)
    array = np.empty(int(np.prod(shape)), object)
    array[:] = [text.encode() for text in _flat(values, rank)]
    return array.reshape(shape)


def _shape(values: Any, rank: int) -> tuple[int, ...]:
    """Lengths of nested lists, which are equal at each depth; 0 where there is none."""
    shape = []
    for _ in range(rank):
        shape.append(len(values))
        values = values[0] if values else []
    return tuple(shape)


def _flat(values: Any, rank: int) -> list[Any]:
    for _ in range(rank - 1):
        values = [one for row in values for one in row]
    return list(values)


def types_of(outputs: Mapping[str, NDArray[Any]]) -> dict[str, tuple[str, int]]:
    """Type and rank by output name, in the order of names: that of a SavedModel is any.

    Args:
      outputs: of an engine.
    """
    return {name: (type_name(values), values.ndim) for name, values in sorted(outputs.items())}
