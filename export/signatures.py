"""Names of what is exported; readable without TensorFlow."""

import dataclasses

EXPORT, EXPORT_IDS = "export", "export_ids"
"""Folders of an output directory: all signatures, and those on ids alone."""
BOTH, TEXT, IDS = "both", "text", "ids"
ONNX_FILE = "model.onnx"
"""Name of the ids signature as ONNX, beside `saved_model.pb`."""
FOLDERS = {BOTH: (EXPORT, EXPORT_IDS), TEXT: (EXPORT,), IDS: (EXPORT_IDS,)}
"""Which folders are written, by the value of `--export_signatures`."""


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """What an export consists of.

    Args:
      signatures: `"both"`; `"text"`: `export/` alone, with all signatures; `"ids"`: `export_ids/` alone.
      frozen_graph: also write frozen graphs.
      onnx: also write `model.onnx`.
    """

    signatures: str = BOTH
    frozen_graph: bool = False
    onnx: bool = False


PLAIN = ExportSettings()
"""Both exports, and no other file."""
