"""A canonical SavedModel as an ONNX graph, by tf2onnx."""

from __future__ import annotations

from typing import Any

import onnx
import tensorflow as tf
import tf2onnx
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edge_converters.backends.onnx_source import IR_VERSION, OPSET


def export(saved_model: str, output: str) -> dict[str, Any]:
    """Write `output`; its input and outputs have the names of the signature."""
    owner = tf.saved_model.load(saved_model)
    function = owner.signatures["serving_default"]
    frozen = convert_variables_to_constants_v2(function)
    ((name, spec),) = function.structured_input_signature[1].items()
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        input_names=[tensor.name for tensor in frozen.inputs],
        output_names=[tensor.name for tensor in frozen.outputs],
        opset=OPSET,
    )
    del spec
    _rename(model, frozen.inputs[0].name, name)
    for tensor, output_name in zip(frozen.outputs, function.structured_outputs, strict=True):
        _rename(model, tensor.name, output_name)
    model.ir_version = max(model.ir_version, IR_VERSION)
    onnx.save(model, output)
    return {}


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for info in (*model.graph.input, *model.graph.output):
        if info.name == old:
            info.name = new
