"""A canonical float .tflite as an ONNX graph, by tf2onnx's reader; its ends keep their names and layout."""

from __future__ import annotations

from typing import Any

import onnx
import tf2onnx

from edge_converters.backends.onnx_source import IR_VERSION, OPSET
from edge_converters.backends.tflite_source import end_names


def export(canonical: str, output: str) -> dict[str, Any]:
    """Write `output`."""
    model, _ = tf2onnx.convert.from_tflite(canonical, opset=OPSET)
    entries, ends = end_names(canonical)
    for info, name in (*zip(model.graph.input, entries, strict=True), *zip(model.graph.output, ends, strict=True)):
        old, info.name = info.name, name
        for node in model.graph.node:
            node.input[:] = [name if each == old else each for each in node.input]
            node.output[:] = [name if each == old else each for each in node.output]
    model.ir_version = max(model.ir_version, IR_VERSION)
    onnx.save(model, output)
    return {}
