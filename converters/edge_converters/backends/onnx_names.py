"""Every node of an ONNX graph by a name of its own: ONNX Runtime's quantiser knows the nodes to leave out by no other.

Exporters need not name nodes, and hand-made graphs seldom do.
"""

from __future__ import annotations

from itertools import chain, count

import onnx


def name_nodes(graph: onnx.GraphProto) -> None:
    """Nodes without a name, or with one that a node before them has, are called by their first output."""
    taken: set[str] = set()
    known = {node.name for node in graph.node}
    for node in graph.node:
        if not node.name or node.name in taken:
            stem = next((name for name in node.output if name), node.op_type)
            forms = chain([stem], (f"{stem}_{number}" for number in count(2)))
            node.name = next(form for form in forms if form not in taken | known)
        taken.add(node.name)
