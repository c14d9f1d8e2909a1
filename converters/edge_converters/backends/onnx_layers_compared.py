"""Inner tensors of an ONNX variant beside its float graph's, in ONNX Runtime, with nothing fused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort

from edge_converters.backends import onnx_files
from edge_converters.backends.arrays import Array
from edge_converters.layers import Trace, compare

STORED_AND_BACK: Final = "_DequantizeLinear_Output"
"""What ONNX Runtime's quantiser calls a tensor as the layers behind it see it."""


def compare_files(base: str, variant: str, inputs: str, stored: str) -> dict[str, Any]:
    """`layers` as `LayerError` fields, over samples [n, ...]: `inputs` (.npy) for `base`, `stored` for `variant`."""
    graph = onnx_files.read(base).graph
    layers = [(name, node.op_type) for node in graph.node for name in node.output if name]
    names = [name for name, _ in layers]
    found = compare(layers, 1, (_trace(base, names), _trace(variant, names)), (np.load(inputs), np.load(stored)))
    return {"layers": [asdict(each) for each in found]}


def _trace(path: str, names: list[str]) -> Trace:
    model = onnx_files.read(path)
    computed = {name for node in model.graph.node for name in node.output}
    read = {name: stored if (stored := name + STORED_AND_BACK) in computed else name for name in names}
    read = {name: place for name, place in read.items() if place in computed}
    given = {each.name for each in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=place) for place in read.values() if place not in given)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnx_files.open_session(model, Path(path).parent, options)
    (entry,) = session.get_inputs()

    def trace(sample: Array) -> dict[str, Array]:
        values = zip(read, session.run(list(read.values()), {entry.name: sample}), strict=True)
        return {name: value for name, value in values if value.dtype.kind == "f"}  # no shapes, nothing stored

    return trace
