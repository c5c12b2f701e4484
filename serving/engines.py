"""What computes the outputs of an export: TensorFlow here; another engine needs no TensorFlow in its process."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import ExportError, one_line
from common.files import without_pattern


class Engine(Protocol):
    """Computes the text signature of an export.

    Attributes:
      input_names: of the texts.
    """

    input_names: tuple[str, ...]

    def run(self, inputs: Mapping[str, Sequence[str]]) -> dict[str, NDArray[Any]]:
        """Outputs by name, a row each.

        Args:
          inputs: texts by input name, all of one length; an input that is left out is empty.
        """

    def close(self) -> None:
        """Frees what the engine holds; it cannot compute afterwards."""


class TensorFlowEngine:
    """A SavedModel in a session of this process.

    Args:
      export_dir: the one that holds `saved_model.pb`.

    Raises:
      ExportError: it cannot be loaded, or has no text signature.
    """

    def __init__(self, export_dir: str | os.PathLike[str]) -> None:
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 - registers the operations that an export tokenizes with

        session = tf.compat.v1.Session(graph=tf.Graph())
        saved_model = tf.compat.v1.saved_model
        try:
            with session.graph.as_default():
                loaded = saved_model.loader.load(
                    session, [saved_model.tag_constants.SERVING], without_pattern(export_dir)
                )
            signature = loaded.signature_def["text"]
        except (OSError, RuntimeError, KeyError, ValueError, tf.errors.OpError) as error:
            session.close()
            raise ExportError(f"{export_dir}: cannot be loaded ({one_line(error)}); export again") from error
        except BaseException:
            session.close()
            raise
        self._session = session
        self.input_names: tuple[str, ...] = tuple(signature.inputs)
        self._output_names = tuple(signature.outputs)
        self._call = session.make_callable(
            [signature.outputs[name].name for name in self._output_names],
            feed_list=[signature.inputs[name].name for name in self.input_names],
        )

    def run(self, inputs: Mapping[str, Sequence[str]]) -> dict[str, NDArray[Any]]:
        """As `Engine.run`."""
        rows = max(len(values) for values in inputs.values())
        feeds = [np.array(inputs.get(name) or [""] * rows, dtype=object) for name in self.input_names]
        return dict(zip(self._output_names, self._call(*feeds), strict=True))

    def close(self) -> None:
        """Frees the session."""
        self._session.close()
