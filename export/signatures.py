"""Names of what is exported; readable without TensorFlow."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

EXPORT, EXPORT_IDS = "export", "export_ids"
"""Folders of an output directory: all signatures, and those on ids alone."""
BOTH, TEXT, IDS = "both", "text", "ids"
ONNX_FILE = "model.onnx"
"""Name of the ids signature as ONNX, beside `saved_model.pb`."""
NOT_QUANTIZED, INT8 = "none", "int8"
"""Values of `--quantize`."""
QUANTIZATION_FILE = "quantization.json"
"""Beside a file with int8 weights: the accuracy before and after."""
SIGNATURES_FILE = "signatures.json"
"""Beside an ONNX file: the signatures of the SavedModel, for those who read it without TensorFlow."""
FOLDERS = {BOTH: (EXPORT, EXPORT_IDS), TEXT: (EXPORT,), IDS: (EXPORT_IDS,)}
"""Which folders are written, by the value of `--export_signatures`."""

Predict = Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]
"""Computes the outputs of the ids signature from its inputs, a row each; inputs may have further names."""


@dataclasses.dataclass(frozen=True)
class Quantization:
    """Weights of 8 bits.

    Args:
      max_accuracy_loss: most that the accuracy may lose, as a fraction.
      accuracy: the name of a score on the dev split, and its value, mostly from 0 to 1, as a `Predict` computes it.
    """

    max_accuracy_loss: float
    accuracy: Callable[[Predict], tuple[str, float]]


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """What an export consists of.

    Args:
      signatures: `"both"`; `"text"`: `export/` alone, with all signatures; `"ids"`: `export_ids/` alone.
      frozen_graph: also write frozen graphs.
      onnx: also write `model.onnx`.
      quantization: of `model.onnx`; None leaves it in float32.
    """

    signatures: str = BOTH
    frozen_graph: bool = False
    onnx: bool = False
    quantization: Quantization | None = None


PLAIN = ExportSettings()
"""Both exports, and no other file."""
