"""ONNX Runtime on PyTorch's export, fused by its own optimizer; int8 by its own quantizer."""

from typing import Any

import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer

from benchmarks.engines.prepared import INPUTS, Arrays, Logits, Peer, onnx_file, rounds
from benchmarks.protocol import ENGINE_THREADS, FLOAT32, INT8, Rounds, Settings


def load(settings: Settings) -> Rounds:
    """Converts, fuses, quantizes."""
    peer = Peer.load(settings)
    config: Any = peer.model.config
    path = onnx_file(peer, settings)
    fused, smaller = (path.replace(".onnx", f"_{name}.onnx") for name in ("fused", INT8))
    heads, width = config.num_attention_heads, config.hidden_size
    optimizer.optimize_model(path, model_type="bert", num_heads=heads, hidden_size=width).save_model_to_file(fused)
    # Behind its own operations the types of values are not known to the quantizer.
    further = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(
        fused, smaller, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True, extra_options=further
    )
    return rounds(peer, {FLOAT32: (_logits(fused), 1e-3), INT8: (_logits(smaller), 0.5)}, settings)


def _logits(path: str) -> Logits:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = ENGINE_THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def logits(arrays: Arrays) -> Any:
        return session.run(None, {name: arrays[name] for name in INPUTS})[0]

    return logits
