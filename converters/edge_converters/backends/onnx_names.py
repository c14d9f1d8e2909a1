"""Names in an ONNX graph that ONNX Runtime can work with: it knows nodes and tensors by nothing else."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain, count
from typing import Final

import onnx

ADDED: Final = "/folded"
"""Ends the name of a tensor that ONNX Runtime put into the graph."""


def tensors_of(graph: onnx.GraphProto) -> frozenset[str]:
    """The names of all tensors that the graph holds, takes or computes."""
    given = (each.name for each in (*graph.initializer, *graph.input))
    return frozenset([*given, *(name for node in graph.node for name in node.output if name)])


def rename_added(graph: onnx.GraphProto, known: Collection[str]) -> None:
    """Tensors whose names are not `known` get others.

    ONNX Runtime calls what a fusion adds by the same words each time, and fails over them in a graph that it has
    optimised before.
    """
    names = {name: f"{name}{ADDED}" for name in tensors_of(graph) if name not in known}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for each in (*graph.initializer, *graph.value_info):
        each.name = names.get(each.name, each.name)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Nodes without a name, or with one that a node before them has, are called by their first output.

    Exporters need not name nodes; the quantiser leaves nodes out by their names.
    """
    taken: set[str] = set()
    known = {node.name for node in graph.node}
    for node in graph.node:
        if not node.name or node.name in taken:
            stem = next((name for name in node.output if name), node.op_type)
            forms = chain([stem], (f"{stem}_{number}" for number in count(2)))
            node.name = next(form for form in forms if form not in taken | known)
        taken.add(node.name)
