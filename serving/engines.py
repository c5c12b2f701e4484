"""What computes the outputs of an export: TensorFlow, or ONNX Runtime without TensorFlow in the process."""

import logging
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common import onednn
from common.errors import ExportError, one_line
from common.files import json_object
from serving.onnx_engine import OnnxEngine

log = logging.getLogger(__name__)

AUTO, TENSORFLOW, ONNX = "auto", "tensorflow", "onnx"
ENGINES = (AUTO, TENSORFLOW, ONNX)
"""Values of `--engine`."""
ENGINE_FILE = "engine.json"
"""Beside an export: which engine was the faster one where it was made."""


class Engine(Protocol):
    """Computes the text signature of an export.

    Attributes:
      input_names: of the texts.
    """

    input_names: tuple[str, ...]

    def run(self, inputs: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name, a row each.

        Args:
          inputs: texts by input name, all of one length; an input that is left out is empty. Of an input that is a
            list of texts a row, lists of one length.
        """

    def close(self) -> None:
        """Frees what the engine holds; it cannot compute afterwards."""


class TensorFlowEngine:
    """A SavedModel in a session of this process; where it takes ids alone, texts are tokenized here, too.

    Args:
      export_dir: the one that holds `saved_model.pb`.
      session: one with other exports in it, which is closed with this engine; by default one of its own.
      scope: as for `saved_model.load`.
      own: likewise.

    Raises:
      ExportError: it cannot be loaded, or there is no way from texts to what it takes.
    """

    def __init__(
        self,
        export_dir: str | os.PathLike[str],
        session: Any = None,
        scope: str = "",
        own: Mapping[str, Any] | None = None,
    ) -> None:
        onednn.choose()
        import tensorflow as tf

        from serving import saved_model

        session = session or tf.compat.v1.Session(graph=tf.Graph())
        try:
            with session.graph.as_default():
                inputs, outputs = saved_model.load(session, Path(export_dir), scope, own)
        except (OSError, RuntimeError, KeyError, ValueError, tf.errors.OpError) as error:
            session.close()
            raise ExportError(f"{export_dir}: cannot be loaded ({one_line(error)}); export again") from error
        except BaseException:
            session.close()
            raise
        self._session = session
        self.input_names: tuple[str, ...] = tuple(inputs)
        self._output_names = tuple(outputs)
        self._call = session.make_callable(list(outputs.values()), feed_list=list(inputs.values()))

    def run(self, inputs: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[Any]]:
        """As `Engine.run`."""
        rows = max(len(values) for values in inputs.values())
        feeds = [np.array(inputs.get(name) or [""] * rows, dtype=object) for name in self.input_names]
        return dict(zip(self._output_names, self._call(*feeds), strict=True))

    def close(self) -> None:
        """Frees the session."""
        self._session.close()


def load(export_dir: str | os.PathLike[str], name: str = AUTO) -> Engine:
    """The engine of an export.

    Args:
      export_dir: the one that holds `saved_model.pb`.
      name: one of `ENGINES`; `"auto"` is the one that was recorded when the export was made, else TensorFlow.

    Raises:
      ExportError: as the engine.
    """
    chosen = _recorded(Path(export_dir) / ENGINE_FILE) if name == AUTO else name
    return OnnxEngine(export_dir) if chosen == ONNX else TensorFlowEngine(export_dir)


def _recorded(path: Path) -> str:
    try:
        engine = json_object(path.read_bytes()).get("engine")
    except FileNotFoundError:
        return TENSORFLOW
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: cannot be read ({one_line(error)}); give --engine, or export again") from None
    if engine not in (TENSORFLOW, ONNX):
        raise ExportError(
            f"{path}: engine is {engine!r}, expected {TENSORFLOW} or {ONNX}; give --engine, or export again"
        )
    if engine == ONNX and find_spec("onnxruntime") is None:
        log.warning("%s says onnx, but onnxruntime is not installed; answers come from TensorFlow", path)
        return TENSORFLOW
    return str(engine)
