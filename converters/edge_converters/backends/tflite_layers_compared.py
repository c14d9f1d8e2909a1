"""Inner tensors of a TFLite variant beside its float file's, in LiteRT's own kernels, which keep every tensor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_converters.backends import tflite_graph
from edge_converters.backends.arrays import Array
from edge_converters.layers import Trace, compare


def compare_files(base: str, variant: str, inputs: str, stored: str) -> dict[str, Any]:
    """`layers` as `LayerError` fields, over samples [n, ...]: `inputs` (.npy) for `base`, `stored` for `variant`."""
    graph = tflite_graph.read(base)
    layers = [
        (graph["tensors"][place]["name"], operator["name"])
        for operator in graph["operators"]
        for place in operator["outputs"]
    ]
    names = {name for name, _ in layers}
    found = compare(layers, -1, (_trace(base, names), _trace(variant, names)), (np.load(inputs), np.load(stored)))
    return {"layers": [asdict(each) for each in found]}


def _trace(model: str, names: set[str]) -> Trace:
    interpreter = Interpreter(
        model_path=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    # of tensors with one name the first is what the operator gives out
    details = {each["name"]: each for each in reversed(interpreter.get_tensor_details()) if each["name"] in names}

    def trace(sample: Array) -> dict[str, Array]:
        interpreter.set_tensor(entry["index"], sample)
        interpreter.invoke()
        return {name: _real(interpreter.get_tensor(each["index"]), each) for name, each in details.items()}

    return trace


def _real(values: Array, detail: dict[str, Any]) -> Array:
    scale, zero = detail["quantization"]
    return (values.astype(np.float64) - zero) * scale if scale else values.astype(np.float64)
