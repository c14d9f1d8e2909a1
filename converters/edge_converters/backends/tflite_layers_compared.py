"""Inner tensors of a TFLite variant beside its float file's, in LiteRT's own kernels, which keep every tensor.

Variants carry no names of inner tensors, so operators are paired by their order: those of one name, past what only one
file has, such as QUANTIZE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from difflib import SequenceMatcher
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_converters.backends import tflite_graph
from edge_converters.backends.arrays import Array
from edge_converters.layers import Trace, compare

Graph = dict[str, Any]
STRUCTURAL: Final = frozenset({"QUANTIZE", "DEQUANTIZE"})


def compare_files(base: str, variant: str, inputs: str, stored: str) -> dict[str, Any]:
    """`layers` as `LayerError` fields, over samples [n, ...]: `inputs` (.npy) for `base`, `stored` for `variant`."""
    graph = tflite_graph.read(base)
    pairs = pair(graph, tflite_graph.read(variant))
    names = {place: graph["tensors"][place]["name"] or f"tensor {place}" for _, place, _ in pairs}
    layers = [(names[place], operator) for operator, place, _ in pairs]
    traces = (
        _trace(base, {names[place]: place for _, place, _ in pairs}),
        _trace(variant, {names[place]: other for _, place, other in pairs}),
    )
    found = compare(layers, -1, traces, (np.load(inputs), np.load(stored)))
    return {"layers": [asdict(each) for each in found]}


def pair(base: Graph, variant: Graph) -> list[tuple[str, int, int]]:
    """Operators that both have: the name, and the place of the first output's tensor in each."""
    ours, theirs = (
        [each for each in graph["operators"] if each["name"] not in STRUCTURAL] for graph in (base, variant)
    )
    matcher = SequenceMatcher(None, [each["name"] for each in ours], [each["name"] for each in theirs], autojunk=False)
    return [
        (ours[block.a + step]["name"], ours[block.a + step]["outputs"][0], theirs[block.b + step]["outputs"][0])
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    ]


def _trace(model: str, places: Mapping[str, int]) -> Trace:
    interpreter = Interpreter(
        model_path=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    details = {each["index"]: each for each in interpreter.get_tensor_details()}

    def trace(sample: Array) -> dict[str, Array]:
        interpreter.set_tensor(entry["index"], sample)
        interpreter.invoke()
        return {name: _real(interpreter.get_tensor(place), details[place]) for name, place in places.items()}

    return trace


def _real(values: Array, detail: dict[str, Any]) -> Array:
    scale, zero = detail["quantization"]
    return (values.astype(np.float64) - zero) * scale if scale else values.astype(np.float64)
