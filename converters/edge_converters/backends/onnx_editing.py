"""From edited layers back to nodes of their ONNX graph: what was edited is made anew, the rest stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edge_converters.backends.onnx_layers import Place, Source
from edge_converters.networks import Fused, Kind, Layer, Network

Array = npt.NDArray[Any]


def edited(
    source: Source, layer: Layer, network: Network, constants: Mapping[str, onnx.TensorProto]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The layer's nodes with its inputs, outputs, constants and groups."""
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in source.nodes]
    renamed = dict(zip(source.layer.inputs, layer.inputs, strict=True))
    for index, name in enumerate(nodes[0].input):
        nodes[0].input[index] = renamed.get(name, name)
    weights: list[onnx.TensorProto] = []
    if layer.fused is not source.layer.fused:  # it took in a layer that had the function
        between = f"{layer.name}/{layer.fused}"
        nodes[-1].output[0] = between
        made, weights = _function(layer, between)
        nodes += made
    for index, name in enumerate(layer.outputs):
        nodes[-1].output[index] = name
    for role, value in layer.constants.items():
        before = source.layer.constants.get(role)
        if before is value or (before is not None and before.shape == value.shape and np.array_equal(before, value)):
            continue
        nodes, weight = _placed(nodes, source.places.get(role), role, value, layer, constants)
        weights.append(weight)
    if layer.kind is Kind.CONV and layer.groups != source.layer.groups:
        _set_attribute(nodes[0], "group", layer.groups)
    given = network.shapes[layer.outputs[0]]
    if layer.operator == "Reshape" and given != source.shape:
        shape = np.array([side or 1 for side in given], np.int64)
        nodes[0].input[1] = f"{layer.name}/shape"
        weights.append(numpy_helper.from_array(shape, f"{layer.name}/shape"))
    return nodes, weights


def _placed(
    nodes: list[onnx.NodeProto],
    place: Place | None,
    role: str,
    value: Array,
    layer: Layer,
    constants: Mapping[str, onnx.TensorProto],
) -> tuple[list[onnx.NodeProto], onnx.TensorProto]:
    """The nodes with a constant put in its place, or where a new bias goes."""
    name = f"{layer.name}/{role}"
    if place is None:
        if layer.operator == "MatMul":  # it has no bias of its own
            return _with_addition(nodes, name), numpy_helper.from_array(value, name)
        nodes[0].input.append(name)
        return nodes, numpy_helper.from_array(value, name)
    old = constants[nodes[place.node].input[place.index]]
    nodes[place.node].input[place.index] = name
    shaped = value.T if place.transposed else value
    if role == "operand":
        shaped = value.reshape([len(value) if side > 1 else 1 for side in old.dims])
    return nodes, numpy_helper.from_array(np.ascontiguousarray(shaped), name)


def _with_addition(nodes: list[onnx.NodeProto], bias: str) -> list[onnx.NodeProto]:
    product, rest = nodes[0], nodes[1:]
    end, between = product.output[0], f"{bias}/product"
    product.output[0] = between
    return [product, helper.make_node("Add", [between, bias], [end]), *rest]


def added(layer: Layer) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """A convolution or dense layer that the file did not have."""
    roles = [role for role in ("weight", "bias") if role in layer.constants]
    names = {role: f"{layer.name}/{role}" for role in roles}
    weights = [numpy_helper.from_array(layer.constants[role], names[role]) for role in roles]
    entries = [*layer.inputs, *names.values()]
    end = layer.outputs[0] if layer.fused is Fused.NONE else f"{layer.name}/{layer.fused}"
    if layer.kind is Kind.CONV and layer.window is not None:
        made = helper.make_node(
            "Conv",
            entries,
            [end],
            group=layer.groups,
            kernel_shape=layer.weight.shape[2:],
            strides=layer.window.strides,
            dilations=layer.window.dilations,
            pads=(*layer.window.before, *layer.window.after),
        )
    else:
        made = helper.make_node("Gemm", entries, [end], transB=1)
    functions, bounds = _function(layer, end)
    return [made, *functions], [*weights, *bounds]


def _function(layer: Layer, entry: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The node for a layer's fused function, reading `entry`."""
    if layer.fused is Fused.NONE:
        return [], []
    if layer.fused is Fused.RELU:
        return [helper.make_node("Relu", [entry], layer.outputs)], []
    bounds = [numpy_helper.from_array(np.array(value, np.float32), f"{layer.name}/{value:g}") for value in (0.0, 6.0)]
    return [helper.make_node("Clip", [entry, *(bound.name for bound in bounds)], layer.outputs)], bounds


def _set_attribute(node: onnx.NodeProto, name: str, value: int) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
