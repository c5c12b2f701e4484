"""TensorFlow 2's checkpoints, whose keys are paths through objects: the Model Garden's, and those of Hub's encoders.

Each variable's name stands in the graph of objects that such a checkpoint holds.

Source: `BertEncoder`, `BertEncoderV2`, `AlbertEncoder` and `BertPretrainerV2` of tf-models-official 2.15.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from common.errors import CheckpointError, one_line
from modeling.families import registry
from modeling.families.base import Family

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Marks such a checkpoint: the key of its graph of objects."""

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_OF_THE_OPTIMIZER = re.compile(r"(^|/)optimizer/|/\.OPTIMIZER_SLOT/")
_CASING = "do_lower_case"
_OUTPUT_OF_ATTENTION = "/attention/output/dense/kernel"
_QUERY = "bert/encoder/layer_0/attention/self/query/kernel"


class ObjectCheckpoint:
    """A TensorFlow 2 checkpoint, its variables under the names and in the shapes of the graph here.

    Args:
      path: its prefix.
      reader: of its values, as `tf.train.load_checkpoint`.

    Raises:
      CheckpointError: two variables have one name, or none has a known one.
    """

    def __init__(self, path: str, reader: Any) -> None:
        self.path = path
        self._reader = reader
        self._stored: dict[str, tuple[int, ...]] = {
            key: tuple(shape) for key, shape in reader.get_variable_to_shape_map().items()
        }
        self._full_names = _full_names(TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH)), self._stored)
        weights = {key: name for key, name in self._full_names.items() if not _OF_THE_OPTIMIZER.search(key)}
        self.family: Family | None = registry.of_objects(set(weights.values()))
        self._key_of = self._named(weights)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by our names, those of attention without the axis of heads."""
        return {name: _flat(self._stored[key], name) for name, key in self._key_of.items()}

    def tensor(self, name: str) -> np.ndarray:
        """The value of a variable."""
        value = np.asarray(self._reader.get_tensor(self._key_of[name]))
        value = value.reshape(_untransposed(self._stored[self._key_of[name]], name))
        return np.ascontiguousarray(value.T) if _is_transposed(name) else value

    def files(self) -> list[Path]:
        """The file that tells one checkpoint from another: it holds a checksum of each value."""
        return [Path(f"{self.path}.index")]

    def left_out(self) -> dict[str, str]:
        """Why a variable is not read, by its name and key."""
        read = set(self._key_of.values())
        return {
            f"{name} ({key.removesuffix(_SUFFIX)})": self._reason(key)
            for key, name in self._full_names.items()
            if key not in read
        }

    def attention_heads(self) -> int | None:
        """How many heads attention has, which the shapes tell; None where they do not."""
        shape = self._stored.get(self._key_of.get(_QUERY, ""), ())
        return shape[1] if len(shape) == 3 else None

    def casing(self) -> bool | None:
        """Whether an encoder of TensorFlow Hub wants its text lower-cased; None where it does not say."""
        key = _CASING + _SUFFIX
        return bool(self._reader.get_tensor(key)) if key in self._stored else None

    def _reason(self, key: str) -> str:
        if _OF_THE_OPTIMIZER.search(key):
            return "of the optimizer"
        return "a counter, or a setting" if self._is_setting(key) else "the pooler of the head is read in its place"

    def _is_setting(self, key: str) -> bool:
        return not self._stored[key]

    def _named(self, weights: Mapping[str, str]) -> dict[str, str]:
        """Keys by our names, or by those in the file; of two for one of ours the one counts whose row is the first."""
        names = self.family.objects if self.family else None
        places: dict[str, int] = {}
        found: dict[str, str] = {}
        for key, full_name in weights.items():
            if self._is_setting(key):
                continue
            ours, place = names.ours(full_name) if names else (None, 0)
            if ours is None:
                ours, place = (full_name if full_name not in found else key.removesuffix(_SUFFIX)), -1
            elif ours in found and places[ours] == place:
                raise CheckpointError(
                    f"{self.path}: two of its variables are called {one_line(full_name, 80)}, with the keys "
                    f"{one_line(found[ours], 80)} and {one_line(key, 80)}; save the encoder alone"
                )
            if ours not in found or place < places[ours]:
                found[ours], places[ours] = key, place
        return found


def _full_names(graph: TrackableObjectGraph, stored: Mapping[str, Any]) -> dict[str, str]:
    """Names of variables by their keys."""
    attributes = (attribute for node in graph.nodes for attribute in node.attributes)
    return {one.checkpoint_key: one.full_name for one in attributes if one.checkpoint_key in stored}


def _is_transposed(name: str) -> bool:
    return name.endswith("output_weights")  # which Google keeps as [out, in]


def _untransposed(stored: tuple[int, ...], name: str) -> tuple[int, ...]:
    """A shape with one axis in place of heads and their width."""
    if len(stored) == 3:
        first, second, third = stored
        return (first * second, third) if name.endswith(_OUTPUT_OF_ATTENTION) else (first, second * third)
    if len(stored) == 2 and name.endswith("/bias"):
        return (stored[0] * stored[1],)
    return stored


def _flat(stored: tuple[int, ...], name: str) -> tuple[int, ...]:
    shape = _untransposed(stored, name)
    return shape[::-1] if _is_transposed(name) else shape
