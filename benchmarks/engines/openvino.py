"""OpenVINO on PyTorch's export."""

from typing import Any

import openvino

from benchmarks.engines.prepared import INPUTS, Arrays, Peer, onnx_file, rounds
from benchmarks.protocol import ENGINE_THREADS, FLOAT32, Rounds, Settings


def load(settings: Settings) -> Rounds:
    """Converts and compiles for latency."""
    peer = Peer.load(settings)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": ENGINE_THREADS}
    model = openvino.Core().compile_model(onnx_file(peer, settings), "CPU", options)

    def logits(arrays: Arrays) -> Any:
        return model({name: arrays[name] for name in INPUTS})[0]

    return rounds(peer, {FLOAT32: (logits, 1e-3)}, settings)
