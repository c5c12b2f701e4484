"""Several adapters on one base: the base is loaded once, and each answers by its name."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import ExportError, closest, one_line
from serving.engines import TensorFlowEngine
from serving.predictor import BATCH_SIZE, Predictor

_BASE = ("/kernel", "_embeddings")
"""Ends of the names of an encoder's variables that adapters and low-rank deltas leave as they are."""


class AdapterPredictor:
    """Loads exports of adapters (or of heads on a frozen encoder) that stand on one base, whose weights are there once.

    Args:
      exports: export directories by name; deltas are not merged in them. Tasks and labels may differ.

    Attributes:
      predictors: a `Predictor` for each name.

    Raises:
      ExportError: an export cannot be loaded, or stands on another base than the first.

    Example:
      predictor = AdapterPredictor({"films": "runs/films/export/1700000000", "food": "runs/food/export/1700000100"})
      predictor.answer([{"text_a": "a fine film"}], "films")
    """

    def __init__(self, exports: Mapping[str, str | os.PathLike[str]]) -> None:
        import tensorflow as tf

        if not exports:
            raise ExportError("no export is named; expected at least one, by the name that asks for it")
        session = tf.compat.v1.Session(graph=tf.Graph())
        first = Path(next(iter(exports.values())))
        self.predictors: dict[str, Predictor] = {}
        try:
            for number, (name, path) in enumerate(exports.items()):
                scope = f"adapter_{number}/"
                with session.graph.as_default():
                    own = _own_handles(first, Path(path), scope) if number else {}
                self.predictors[name] = Predictor(path, TensorFlowEngine(path, session, scope, own))
        except BaseException:
            session.close()
            raise
        self._session = session

    def answer(
        self, rows: Sequence[Mapping[str, str | None]], adapter: str, batch_size: int = BATCH_SIZE
    ) -> list[dict[str, Any]]:
        """One answer a row, as `Predictor.answer` gives it.

        Args:
          rows: texts by input name.
          adapter: the name of one of the exports.
          batch_size: most rows that are computed at once.

        Raises:
          ExportError: there is no adapter of this name.
          DataError: as `Predictor.answer`.
        """
        if adapter not in self.predictors:
            raise ExportError(f"no adapter {one_line(repr(adapter), 60)}; {closest(adapter, self.predictors)}")
        return self.predictors[adapter].answer(rows, batch_size)

    def close(self) -> None:
        """Frees the base; nothing can be answered afterwards."""
        self._session.close()

    def __enter__(self) -> "AdapterPredictor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _own_handles(first: Path, other: Path, scope: str) -> dict[str, Any]:
    """Handles of the variables in which an export differs from the first, made in the default graph.

    In a session, variables of one name are one: those that are equal stay so, and need no memory of their own.

    Raises:
      ExportError: one cannot be read, or their bases differ.
    """
    import tensorflow as tf

    try:
        readers = [tf.train.load_checkpoint(str(path / "variables" / "variables")) for path in (first, other)]
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ExportError(f"{other}: its variables cannot be read ({one_line(error)}); export again") from None
    shapes, held = (reader.get_variable_to_shape_map() for reader in readers)
    equal = {name for name in shapes if name in held and np.array_equal(*(r.get_tensor(name) for r in readers))}
    base = [name for name in shapes if name.startswith("bert/") and name.endswith(_BASE) and "/pooler/" not in name]
    different = [name for name in base if name not in equal]
    if different:
        raise ExportError(
            f"{other}: stands on another base than {first}: {len(different)} of {len(base)} of its variables differ, "
            f"such as {different[0]}; export without --merge_adapters, or load it with a Predictor of its own"
        )
    dtypes = readers[1].get_variable_to_dtype_map()
    return {
        name: tf.raw_ops.VarHandleOp(dtype=dtypes[name], shape=held[name], shared_name=scope + name)
        for name in held
        if name not in equal or not name.startswith("bert/")
    }
