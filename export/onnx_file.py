"""The id signature of an export as one ONNX file: the same unpadded graph, for ONNX Runtime and other engines.

export/<timestamp>/model.onnx    inputs and outputs have the names of the signature `serving_default`; inputs that no
                                 output depends on are left out
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from common.errors import ExportError, one_line
from export import onnx_fusion

log = logging.getLogger(__name__)

OPSET = 17
"""The oldest with layer normalization as an operation."""
LARGE = 1024
"""Bytes of a constant that is kept from the converter."""
TOLERANCE = 1e-4
"""Most that an output may differ, relative to its largest value: what other kernels round otherwise."""

Ends = Mapping[str, tf.Tensor]


def write_onnx(
    session: Any, inputs: Ends, outputs: Ends, path: Path, rows: Mapping[str, NDArray[np.int32]] | None
) -> None:
    """Converts a signature, and compares what ONNX Runtime computes with what the session does.

    Args:
      session: holds the weights.
      inputs: int32 tensors by name.
      outputs: tensors by name.
      path: of the new file.
      rows: values for the inputs to compare on; None compares nothing, which is logged.

    Raises:
      ExportError: an operation of the head has no counterpart, or an output differs.
    """
    nodes = sorted({tensor.op.name for tensor in outputs.values()})
    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), nodes)
    weights = _taken_out(frozen)
    there = {node.name for node in frozen.node}
    read = {name: tensor for name, tensor in inputs.items() if tensor.op.name in there}
    model = _converted(frozen, read, outputs, weights, path)
    fused = onnx_fusion.fuse(model)
    log.info("%s: %d operations, %s", path, len(model.graph.node), _listed(fused))
    content = model.SerializeToString()
    if rows is None:
        log.warning("%s is not compared with the SavedModel: the task has no texts to try it on", path)
    else:
        expected = session.run(dict(outputs), {inputs[name]: values for name, values in rows.items()})
        _compare(content, rows, expected, path)
    path.write_bytes(content)


def _taken_out(graph: Any) -> dict[str, NDArray[Any]]:
    """Makes a placeholder of each large constant of a `GraphDef`, in place; gives their values by tensor name.

    The converter copies constants in each of its passes: 5 GB for a model of 90 MB. It cannot copy what is not there.
    """
    weights = {}
    for node in graph.node:
        if node.op != "Const" or node.attr["value"].tensor.ByteSize() < LARGE:
            continue
        value = tf.make_ndarray(node.attr["value"].tensor)
        dtype = node.attr["dtype"].type
        node.op = "Placeholder"
        node.ClearField("attr")
        node.attr["dtype"].type = dtype
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
        weights[f"{node.name}:0"] = value
    return weights


def _converted(frozen: Any, inputs: Ends, outputs: Ends, weights: Mapping[str, NDArray[Any]], path: Path) -> Any:
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    try:
        model, _ = tf2onnx.convert.from_graph_def(
            frozen,
            input_names=[*(tensor.name for tensor in inputs.values()), *weights],
            output_names=[tensor.name for tensor in outputs.values()],
            opset=OPSET,
        )
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise ExportError(
            f"{path}: the graph cannot be written as ONNX ({one_line(error)}); leave --export_onnx out, or build the "
            "head of operations that ONNX has"
        ) from error
    taken = [one for one in model.graph.input if one.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(taken)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in weights.items())
    names = {tensor.name: name for name, tensor in (*inputs.items(), *outputs.items())}
    _rename(model.graph, names)
    return model


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Gives ends the names of the signature; a name that an inner value has already is moved away."""
    moved = {name: f"inner/{name}" for name in names.values()} | dict(names)
    for node in graph.node:
        for ends in (node.input, node.output):
            for index, name in enumerate(ends):
                ends[index] = moved.get(name, name)
    for one in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        one.name = moved.get(one.name, one.name)


def _compare(
    content: bytes, rows: Mapping[str, NDArray[np.int32]], expected: Mapping[str, NDArray[Any]], path: Path
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    taken = {one.name: rows[one.name] for one in session.get_inputs()}
    found = dict(zip(expected, session.run(list(expected), taken), strict=True))
    for name, values in expected.items():
        largest = float(np.abs(values).max(initial=1.0))
        difference = float(np.abs(found[name] - values).max(initial=0.0))
        if found[name].shape != values.shape or not difference <= TOLERANCE * largest:
            raise ExportError(
                f"{path}: {name} differs from the SavedModel's by {difference:.2g}, expected at most "
                f"{TOLERANCE * largest:.2g}; no export was written; please report this model"
            )


def _listed(fused: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in fused.items()) or "nothing fused"
