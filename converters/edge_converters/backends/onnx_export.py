"""A canonical SavedModel as an ONNX graph, by tf2onnx."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edge_converters.backends.onnx_kernels import is_known
from edge_converters.backends.onnx_source import IR_VERSION, OPSET
from edge_converters.errors import NotConvertible

MADE = re.compile(r"(.+)__\d+")
CALL = re.compile(r"^(\^?)(?:Stateful)?PartitionedCall/")
OUTER = r"\1PartitionedCall/PartitionedCall/"
"""What comes before the names of the model's own operators, whether it has variables or not."""


def export(saved_model: str, output: str) -> dict[str, Any]:
    """Write `output`; its input and outputs have the names of the signature."""
    owner = tf.saved_model.load(saved_model)
    function = owner.signatures["serving_default"]
    frozen = convert_variables_to_constants_v2(function)
    (name,) = function.structured_input_signature[1]
    model, _ = tf2onnx.convert.from_graph_def(
        _named_alike(frozen.graph.as_graph_def()),
        input_names=[tensor.name for tensor in frozen.inputs],
        output_names=[tensor.name for tensor in frozen.outputs],
        opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    _refuse_unknown(model)
    _rename(model, frozen.inputs[0].name, name)
    for tensor, output_name in zip(frozen.outputs, function.structured_outputs, strict=True):
        _rename(model, tensor.name, output_name)
    _number_constants(model)
    model.ir_version = max(model.ir_version, IR_VERSION)
    onnx.save(model, output)
    return {}


def _named_alike(graph: Any) -> Any:
    """The graph with the same names for its operators, whatever calls they come from."""
    for node in graph.node:
        node.name = CALL.sub(OUTER, node.name)
        node.input[:] = [CALL.sub(OUTER, name) for name in node.input]
    return graph


def _erfc(context: Any, node: Any, name: str, given: Any, **options: Any) -> None:
    """1 - erf(x): of the exact GELU. ONNX has no other word for it, and tf2onnx none at all."""
    del given, options
    (end,) = node.output
    node.type = "Erf"
    one = context.make_const(f"{name}/one", np.ones((), np.float32))
    rest = context.insert_new_node_on_output("Sub", end, name=f"{name}/rest", inputs=[one.output[0], end])
    context.copy_shape(end, rest.output[0])


def _refuse_unknown(model: onnx.ModelProto) -> None:
    """What tf2onnx knows no way for, it hands on as it is, in the standard's own domain."""
    for node in model.graph.node:
        if not is_known(node.op_type, node.domain, OPSET):
            raise NotConvertible(
                f"ONNX has no form of the operator {node.op_type} ({node.name})",
                "Replace that part of the model, or choose profiles that take TFLite.",
            )


def _number_constants(model: onnx.ModelProto) -> None:
    """tf2onnx numbers the constants it makes by the order of a set, another in each run: number them by their place."""
    for place, weight in enumerate(model.graph.initializer):
        made = MADE.fullmatch(weight.name)
        if made is not None:
            old, weight.name = weight.name, f"{made[1]}__c{place}"
            _rename(model, old, weight.name)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for info in (*model.graph.input, *model.graph.output):
        if info.name == old:
            info.name = new
