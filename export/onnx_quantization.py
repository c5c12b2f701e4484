"""Weights of 8 bits in an ONNX file, where the answers stay as right as they were.

export/<timestamp>/model.onnx           with int8 weights, in place of float32 ones
export/<timestamp>/quantization.json    what was done, and the accuracy on the dev split before and after

Weights get a scale for each output channel; activations become 8 bits while a batch is computed, with one scale for the
whole batch. So the answer for a row differs a little with the rows that it is computed together with.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.errors import ExportError
from common.files import write_atomically
from export.signatures import INT8, QUANTIZATION_FILE, Quantization

log = logging.getLogger(__name__)

ROUNDING = 1e-9
"""What subtracting two accuracies may add."""


def quantize(path: Path, settings: Quantization) -> None:
    """Puts int8 weights into an ONNX file, and compares the accuracy with that of the file as it was.

    Args:
      path: of the float32 file, which is replaced.
      settings: the accuracy, and what it may lose.

    Raises:
      ExportError: it loses more.
      DataError: the dev split cannot be read.
    """
    name, before = settings.accuracy(_run(path))
    smaller = path.with_name(f"{path.name}.{INT8}")
    try:
        _write(path, smaller)
        _, after = settings.accuracy(_run(smaller))
        lost = before - after
        told = f"{name} on the dev split {before:.4f} in float32, {after:.4f} in {INT8}"
        if not lost <= settings.max_accuracy_loss + ROUNDING:
            raise ExportError(
                f"--quantize={INT8}: {told}, a loss of {lost:.4f}, expected at most "
                f"--max_accuracy_loss={settings.max_accuracy_loss:g}; no export was written; raise it, or leave "
                "--quantize out"
            )
        log.info("%s: %s; %.0f MiB in place of %.0f", path, told, *(_mebibytes(one) for one in (smaller, path)))
        smaller.replace(path)
    finally:
        smaller.unlink(missing_ok=True)
    record = {
        "weights": INT8, "metric": name, "before": before, "after": after,
        "max_accuracy_loss": settings.max_accuracy_loss,
    }  # fmt: skip
    write_atomically(path.with_name(QUANTIZATION_FILE), json.dumps(record, indent=2) + "\n")


def _write(path: Path, smaller: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quant_utils, quantize_dynamic

    model = onnx.load(path)
    # Shapes need no inference, and the log no advice to infer them: weights alone decide what is quantized.
    quant_utils.add_pre_process_metadata(model)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="quantizing_") as folder:
        marked = Path(folder) / "model.onnx"
        onnx.save(model, marked)
        # It tells the root logger of every tensor that it leaves alone.
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        # Products of two bytes are added in pairs, in 16 bits where a processor has no VNNI: 7 bits of a weight do not
        # overflow them.
        try:
            quantize_dynamic(
                marked, smaller, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # behind ONNX Runtime's own operations
            )  # fmt: skip
        finally:
            logging.disable(before)


def _run(path: Path) -> Any:
    """A function from inputs to outputs by name, as the file computes them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = [one.name for one in session.get_inputs()]
    given = [one.name for one in session.get_outputs()]

    def run(features: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(given, session.run(given, {name: features[name] for name in taken}), strict=True))

    return run


def _mebibytes(path: Path) -> float:
    return path.stat().st_size / (1 << 20)
