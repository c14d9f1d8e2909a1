"""What makes an ONNX graph no graph, in plain code on the parsed file: names, order, circles, an unknown opset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from edge_converters.backends.onnx_nodes import title, walk
from edge_converters.backends.onnx_source import opset_of
from edge_converters.lint.facts import Trouble
from edge_converters.lint.findings import Code


def structural_troubles(model: onnx.ModelProto) -> Iterator[Trouble]:
    """What makes the graph no graph."""
    yield from _opset(model)
    if not model.graph.node:
        yield Trouble(Code.EMPTY, "the graph holds no operator")
    if not model.graph.output:
        yield Trouble(Code.EMPTY, "the graph has no output")
    yield from _recursion(model)
    yield from _names(model.graph)
    yield from _order(model.graph)


def _opset(model: onnx.ModelProto) -> Iterator[Trouble]:
    newest, given = onnx.defs.onnx_opset_version(), opset_of(model)
    if given > newest:
        yield Trouble(Code.OPSET, f"the model is of opset {given}; the newest that is known here is {newest}")


def _recursion(model: onnx.ModelProto) -> Iterator[Trouble]:
    bodies = {(each.domain, each.name): each.node for each in model.functions}
    calls = {
        key: {(node.domain, node.op_type) for node, _ in walk(nodes)} & set(bodies) for key, nodes in bodies.items()
    }
    for (domain, name), path in _cycles(calls):
        where = " -> ".join(each[1] for each in path)
        yield Trouble(Code.RECURSION, f"the function {domain}.{name} calls itself ({where})")


def _names(graph: onnx.GraphProto) -> Iterator[Trouble]:
    initial = [weight.name for weight in graph.initializer]
    computed = [name for node in graph.node for name in node.output if name]
    entries = [entry.name for entry in graph.input if entry.name not in set(initial)]
    seen: set[str] = set()
    for name, what in (*((each, "weight") for each in initial), *((each, "result") for each in entries + computed)):
        if name in seen:
            yield Trouble(Code.DUPLICATE_NAME, f"the name {name!r} is given to two tensors; the second is a {what}")
        seen.add(name)
    for node, inner in walk(graph.node):
        for name in node.input:
            if not inner and name and name not in seen:
                yield Trouble(Code.UNDEFINED_TENSOR, f"{title(node)} reads {name!r}, which nothing gives")
    for end in graph.output:
        if end.name not in seen:
            yield Trouble(Code.UNDEFINED_TENSOR, f"the output {end.name!r} is given by nothing")


def _order(graph: onnx.GraphProto) -> Iterator[Trouble]:
    writer = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    before = {place: {writer[name] for name in node.input if name in writer} for place, node in enumerate(graph.node)}
    found = next(iter(_cycles(before)), None)
    if found is not None:
        yield Trouble(Code.CYCLE, f"the graph runs in a circle: {', '.join(title(graph.node[i]) for i in found[1])}")
        return
    late = next((place for place, needs in before.items() if any(need > place for need in needs)), None)
    if late is not None:
        yield Trouble(Code.INVALID, f"{title(graph.node[late])} stands before the operator that gives its input")


def _cycles(edges: dict[Any, set[Any]]) -> Iterator[tuple[Any, list[Any]]]:
    """Each circle once, by the place where it was entered and its members; without recursion of our own."""
    done: set[Any] = set()
    for start, first in edges.items():
        path: list[Any] = []
        stack = [] if start in done else [(start, iter(first))]
        while stack:
            place, rest = stack[-1]
            if len(path) < len(stack):
                path.append(place)
            follower = next(rest, None)
            if follower is None:
                done.add(path.pop())
                stack.pop()
            elif follower in path:
                yield follower, path[path.index(follower) :]
                return
            elif follower not in done:
                stack.append((follower, iter(edges[follower])))
