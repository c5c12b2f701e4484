"""Layer normalization and GELU as single operations: what ONNX Runtime does not find by itself in converted graphs.

ONNX Runtime's own fusion looks for the shapes that PyTorch's exporter leaves. Ours come from TensorFlow's operations,
so they are looked for here: a subgraph with one input is replaced where every node of it is as expected and nothing
else reads what lies inside; otherwise it stays.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MICROSOFT = "com.microsoft"
"""Domain of ONNX Runtime's own operations, which its CPU build always has."""

_NOTHING = np.zeros(())
_HALF_ROOT, _CUBE, _ROOT = 1 / np.sqrt(2), 0.044715, np.sqrt(2 / np.pi)


class _Graph:
    """Look-ups in an ONNX graph: who makes a value, who reads it, and what constants are."""

    def __init__(self, graph: Any) -> None:
        import onnx

        self.graph = graph
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.constants: dict[str, NDArray[Any]] = {
            one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer
        }
        self.kept = {one.name for one in graph.output}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> list[Any]:
        """Nodes that take a value; empty where it is an output of the graph, which has to stay."""
        return [] if name in self.kept else self._readers.get(name, [])

    def only_reader(self, name: str, kind: str) -> Any:
        """The one node that takes a value, if it is of a kind; else None."""
        readers = self.readers(name)
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind else None

    def other_input(self, node: Any, name: str) -> str:
        """Of an operation on two values the one that is not `name`."""
        first, second = node.input
        return str(second if first == name else first)

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one element."""
        found = self.constants.get(name)
        return float(found.reshape(-1)[0]) if found is not None and found.size == 1 else None

    def scaled(self, name: str, factor: float) -> str | None:
        """The value that the node behind `name` multiplies with a constant; None where it does something else."""
        node = self.made_by.get(name)
        if node is None or node.op_type != "Mul":
            return None
        for one, other in (tuple(node.input), tuple(node.input)[::-1]):
            value = self.scalar(other)
            if value is not None and np.isclose(value, factor, rtol=1e-5):
                return str(one)
        return None


def fuse(model: Any) -> dict[str, int]:
    """Replaces the subgraphs in place.

    Args:
      model: an `onnx.ModelProto` of opset 17 or newer.

    Returns:
      How many of each operation were put in.
    """
    import onnx

    counts: dict[str, int] = {}
    for find in (_layer_norm, _erf_gelu, _tanh_gelu):
        graph = _Graph(model.graph)
        for node in list(model.graph.node):
            found = find(graph, node)
            if found is None:
                continue
            made, last = found
            made.output.append(last.output[0])
            model.graph.node.insert(list(model.graph.node).index(last), made)
            model.graph.node.remove(last)
            counts[made.op_type] = counts.get(made.op_type, 0) + 1
    _drop_unread(model.graph)
    if any(node.domain == MICROSOFT for node in model.graph.node):
        model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    return counts


Found = tuple[Any, Any] | None
"""The new node without its output, and the last node of what it replaces."""


def _layer_norm(graph: _Graph, mean: Any) -> Found:
    """`(x - mean) / sqrt(mean((x - mean)^2) + eps)`, with scale and shift where they are there."""
    import onnx

    if mean.op_type != "ReduceMean":
        return None
    x = mean.input[0]
    centred = graph.only_reader(mean.output[0], "Sub")
    if centred is None or centred.input[0] != x:
        return None
    squares = [node for node in graph.readers(centred.output[0]) if tuple(node.input) == (centred.output[0],) * 2]
    chain = _chain(graph, squares[0].output[0], ("ReduceMean", "Add", "Sqrt", "Reciprocal")) if squares else None
    if chain is None or not _is_last_axis(mean) or not _is_last_axis(chain[0]):
        return None
    epsilon = graph.scalar(graph.other_input(chain[1], chain[0].output[0]))
    scaled = _scaled(graph, centred.output[0], chain[-1].output[0])
    if epsilon is None or scaled is None:
        return None
    last, gamma = scaled
    shift = graph.only_reader(last.output[0], "Add")
    beta = None if shift is None else graph.other_input(shift, last.output[0])
    width = _last_width(graph, x) if gamma is None else len(graph.constants[gamma])
    if beta in graph.constants and graph.constants[beta].shape == (width,):
        last = shift
    else:
        beta = None
    if width is None:
        return None
    gamma = gamma or _constant(graph, np.ones(width, np.float32))
    beta = beta or _constant(graph, np.zeros(width, np.float32))
    # Upstream's epsilon of 1e-12 vanishes beside a variance in float32, here as there.
    made = onnx.helper.make_node("LayerNormalization", [x, gamma, beta], [], name=last.name, axis=-1, epsilon=epsilon)
    return made, last


def _scaled(graph: _Graph, centred: str, inverse: str) -> tuple[Any, str | None] | None:
    """The product of what is centred, one over the deviation, and a constant where there is one, in any order.

    Returns:
      The node of the product, and the name of the constant; None where something else is computed.
    """
    first = graph.only_reader(inverse, "Mul")
    if first is None:
        return None
    other = graph.other_input(first, inverse)
    second = graph.only_reader(first.output[0], "Mul")
    factor = None if second is None else graph.other_input(second, first.output[0])
    if other == centred:
        return (second, factor) if factor in graph.constants and graph.constants[factor].ndim == 1 else (first, None)
    return (second, other) if factor == centred and graph.constants.get(other, _NOTHING).ndim == 1 else None


def _erf_gelu(graph: _Graph, erf: Any) -> Found:
    """`0.5 x (1 + erf(x / sqrt(2)))`, in either order of the factors."""
    if erf.op_type != "Erf":
        return None
    x = graph.scaled(erf.input[0], _HALF_ROOT) or _divided(graph, erf.input[0], np.sqrt(2))
    return _gated(graph, x, erf, "Gelu")


def _tanh_gelu(graph: _Graph, tanh: Any) -> Found:
    """`0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`."""
    if tanh.op_type != "Tanh":
        return None
    total = graph.made_by.get(graph.scaled(tanh.input[0], _ROOT) or "")
    if total is None or total.op_type != "Add":
        return None
    for x, cubic in (tuple(total.input), tuple(total.input)[::-1]):
        power = graph.made_by.get(graph.scaled(cubic, _CUBE) or "")
        if power is not None and power.op_type == "Pow" and power.input[0] == x and graph.scalar(power.input[1]) == 3:
            return _gated(graph, str(x), tanh, "FastGelu")
    return None


def _gated(graph: _Graph, x: str | None, gate: Any, kind: str) -> Found:
    """`x` times half of one more than the gate."""
    import onnx

    more = graph.only_reader(gate.output[0], "Add")
    if x is None or more is None or graph.scalar(graph.other_input(more, gate.output[0])) != 1:
        return None
    last = graph.only_reader(more.output[0], "Mul")
    if last is None:
        return None
    other = graph.other_input(last, more.output[0])
    if graph.scaled(other, 0.5) != x:
        # The half may also stand behind the product.
        half = graph.only_reader(last.output[0], "Mul") if other == x else None
        if half is None or graph.scalar(graph.other_input(half, last.output[0])) != 0.5:
            return None
        last = half
    return onnx.helper.make_node(kind, [x], [], name=last.name, domain=MICROSOFT), last


def _chain(graph: _Graph, name: str, kinds: Sequence[str]) -> list[Any] | None:
    """Nodes of these kinds that read one another, each alone."""
    nodes = []
    for kind in kinds:
        node = graph.only_reader(name, kind)
        if node is None:
            return None
        nodes.append(node)
        name = node.output[0]
    return nodes


def _divided(graph: _Graph, name: str, divisor: float) -> str | None:
    node = graph.made_by.get(name)
    value = None if node is None or node.op_type != "Div" else graph.scalar(node.input[1])
    return (
        str(node.input[0]) if node is not None and value is not None and np.isclose(value, divisor, rtol=1e-5) else None
    )


def _is_last_axis(node: Any) -> bool:
    axes = next((tuple(one.ints) for one in node.attribute if one.name == "axes"), ())
    keeps = next((one.i for one in node.attribute if one.name == "keepdims"), 1)
    return len(axes) == 1 and axes[0] in (-1, 1, 2) and keeps == 1


def _last_width(graph: _Graph, name: str) -> int | None:
    """Width of the rows of a value, from the matrix or the vector that the last operations before it have."""
    seen: list[str] = [name]
    while seen:
        node = graph.made_by.get(seen.pop())
        if node is None or node.op_type not in ("Add", "MatMul", "Reshape", "Gather"):
            continue
        for one in node.input:
            constant = graph.constants.get(one)
            if constant is not None and constant.ndim and constant.dtype == np.float32 and node.op_type != "Reshape":
                return int(constant.shape[-1])
        seen += list(node.input)
    return None


def _constant(graph: _Graph, value: NDArray[Any]) -> str:
    import onnx

    name = f"fused_constant_{len(graph.graph.initializer)}"
    graph.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return name


def _drop_unread(graph: Any) -> None:
    """Removes nodes and constants that nothing reads any more."""

    def read() -> set[str]:
        return {name for node in graph.node for name in node.input}

    kept = {one.name for one in graph.output}
    while True:
        needed = read() | kept
        unread = [node for node in graph.node if not needed & set(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for constant in [one for one in graph.initializer if one.name not in read()]:
        graph.initializer.remove(constant)
