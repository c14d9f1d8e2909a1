"""Functions that a frozen graph still calls become part of it: TFLite and ONNX know no calls.

Keras compiles some layers, such as grouped convolutions, by XLA, because TensorFlow has no kernel for them on a CPU;
such functions are kept apart from the graph. The targets have kernels, so that nothing needs to be compiled.
"""

from __future__ import annotations

from typing import Any, Final

from tensorflow.python.eager.wrap_function import function_from_graph_def
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

BARRIERS: Final = ("_XlaMustCompile", "_noinline")
"""Attributes that keep a function from being taken into the graph."""
OPEN: Final = "_open"
"""Ends the name of a function without barriers: TensorFlow knows the one with them by its own."""


def keeps_calls(function: Any) -> bool:
    """Whether some function that it calls would be kept apart."""
    return bool(_barred(function.graph.as_graph_def()))


def inlined(frozen: Any) -> Any:
    """The frozen function without calls of compiled functions; itself if it has none."""
    graph = frozen.graph.as_graph_def()
    barred = _barred(graph)
    if not barred:
        return frozen
    for function in graph.library.function:
        if function.signature.name in barred:
            function.signature.name += OPEN
        _open(function.attr)
    for node in (*graph.node, *(each for function in graph.library.function for each in function.node_def)):
        _open(node.attr)
        for value in node.attr.values():
            if value.func.name in barred:
                value.func.name += OPEN
    opened = function_from_graph_def(
        graph, [tensor.name for tensor in frozen.inputs], [tensor.name for tensor in frozen.outputs]
    )
    return convert_variables_to_constants_v2(opened)


def _barred(graph: Any) -> set[str]:
    return {each.signature.name for each in graph.library.function if any(name in each.attr for name in BARRIERS)}


def _open(attributes: Any) -> None:
    for name in BARRIERS:
        if name in attributes:
            del attributes[name]
