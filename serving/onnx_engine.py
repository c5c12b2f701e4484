"""An export in ONNX Runtime: no TensorFlow in the process."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.errors import ExportError, one_line
from common.files import json_object
from export.signatures import ONNX_FILE
from tasks import exports
from tokenization.kinds import of_assets


class OnnxEngine:
    """`model.onnx` of an export; texts are tokenized in this process, outputs named in NumPy.

    Args:
      export_dir: the one that holds the file.
      threads: of one operation; None leaves it to ONNX Runtime.

    Raises:
      ExportError: there is none, it cannot be loaded, its problem type needs TensorFlow, or ONNX Runtime is not there.
    """

    def __init__(self, export_dir: str | os.PathLike[str], threads: int | None = None) -> None:
        path = Path(export_dir) / ONNX_FILE
        if not path.is_file():
            raise ExportError(f"{export_dir}: no {ONNX_FILE}; export with --export_onnx, or choose --engine=tensorflow")
        try:
            import onnxruntime
        except ImportError as error:
            raise ExportError(
                f"--engine=onnx: ONNX Runtime cannot be imported ({one_line(error)}); pip install bert-estimator[onnx]"
            ) from None
        assets = path.parent / "assets"
        settings = json_object((assets / "tokenizer.json").read_bytes())
        self._rows = exports.text_rows(of_assets(assets, settings), settings, assets)
        self.input_names: tuple[str, ...] = self._rows.input_names
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            raise ExportError(f"{path}: cannot be loaded ({one_line(error)}); export again") from error
        self._taken = [one.name for one in self._session.get_inputs()]
        self._given = [one.name for one in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[Any]]:
        """As `Engine.run`."""
        read = self._rows.read(inputs)
        found = self._session.run(self._given, {name: read.features[name] for name in self._taken})
        return self._rows.outputs(dict(zip(self._given, found, strict=True)), read)

    def close(self) -> None:
        """Frees the session."""
        self._session = None
