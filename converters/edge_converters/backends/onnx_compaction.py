"""A quantised ONNX graph without what only people read: a third of a small file is names of scales and zero points.

The names of float tensors stay: a variant is compared with its float graph by them.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def compact(model: onnx.ModelProto) -> None:
    """Constants and stored forms get short names; names of nodes, noted shapes and remarks go. The answers stay."""
    graph = model.graph
    short = _short_names(graph)
    for weight in graph.initializer:
        weight.name = short[weight.name]
        weight.ClearField("doc_string")
    for node in graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    del graph.value_info[:]
    del graph.quantization_annotation[:]


def _short_names(graph: onnx.GraphProto) -> dict[str, str]:
    """For every constant, and every tensor that only stands for a stored form."""
    constants = [weight.name for weight in graph.initializer]
    kept = {name for node in graph.node for name in node.output} | {each.name for each in (*graph.input, *graph.output)}
    ends = {each.name for each in graph.output}
    renamed = [*constants, *(name for name in _stored_forms(graph, set(constants)) if name not in ends)]
    numbers = (name for name in map(_numeral, range(len(renamed) + len(kept))) if name not in kept)
    return dict(zip(renamed, numbers, strict=False))


def _stored_forms(graph: onnx.GraphProto, constants: set[str]) -> Iterator[str]:
    for node in graph.node:
        weights = node.op_type == "DequantizeLinear" and node.input[0] in constants
        if weights or node.op_type == "QuantizeLinear":
            yield from node.output


def _numeral(number: int) -> str:
    return f"{number:x}"
