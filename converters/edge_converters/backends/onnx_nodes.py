"""The operators and weights of an ONNX graph, those of the graphs inside it among them, and how they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def walk(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, bool]]:
    """Every node, and those of the graphs inside it; whether it is inside one."""
    waiting = [(node, False) for node in nodes][::-1]
    while waiting:
        node, inner = waiting.pop()
        yield node, inner
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                waiting += [(each, True) for each in graph.node][::-1]


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every weight, those inside operators among them."""
    yield from model.graph.initializer
    for node, _ in walk(model.graph.node):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from attribute.g.initializer


def constants_of(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Weights and the results of constant operators, by name."""
    found = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        values = [each.t for each in node.attribute if each.name == "value" and each.HasField("t")]
        if node.op_type == "Constant" and values:
            found[node.output[0]] = values[0]
    return found


def title(node: onnx.NodeProto) -> str:
    """How an operator is told to a person."""
    return f"{node.op_type} {name_of(node)!r}"


def name_of(node: onnx.NodeProto) -> str:
    """Of an operator; where it has none, its first result's."""
    return str(node.name or next(iter(node.output), ""))
