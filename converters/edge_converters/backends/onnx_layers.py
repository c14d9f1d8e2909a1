"""From the nodes of a canonical ONNX graph to neutral layers, each with the nodes that it stands for.

MatMul, Add and Relu are one dense layer; `Source` remembers which nodes those were, and where its constants lie. Needs
inferred shapes and batch 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from edge_converters.backends import onnx_files
from edge_converters.channel_axes import find_channel_axes, settle
from edge_converters.networks import Fused, Kind, Layer, Shape, Window

Array = npt.NDArray[Any]

KINDS: Final = {
    "Conv": Kind.CONV,
    "Gemm": Kind.DENSE,
    "MatMul": Kind.DENSE,
    "BatchNormalization": Kind.BATCH_NORM,
    "Add": Kind.ADD,
    "Mul": Kind.MUL,
    "AveragePool": Kind.POOL,
    "GlobalAveragePool": Kind.POOL,
    "GlobalMaxPool": Kind.POOL,
    "MaxPool": Kind.POOL,
    "ReduceMean": Kind.POOL,
    "Resize": Kind.RESIZE,
    "Pad": Kind.PAD,
    "Concat": Kind.CONCAT,
    "Flatten": Kind.FLATTEN,
    "Reshape": Kind.RESHAPE,
    "Squeeze": Kind.RESHAPE,
    "Unsqueeze": Kind.RESHAPE,
    "Transpose": Kind.TRANSPOSE,
    "Softmax": Kind.SOFTMAX,
    "Clip": Kind.CLAMP,
    **dict.fromkeys(("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu"), Kind.ACTIVATION),
}
DATA: Final = {Kind.CONV: 1, Kind.DENSE: 1, Kind.BATCH_NORM: 1, Kind.CLAMP: 1, Kind.PAD: 1, Kind.RESIZE: 1}
"""How many of a node's inputs are data; of the others all that are not constant."""
ROLES: Final = {
    Kind.CONV: ("weight", "bias"),
    Kind.DENSE: ("weight", "bias"),
    Kind.BATCH_NORM: ("scale", "offset", "mean", "variance"),
}
OPERANDS: Final = frozenset({Kind.ADD, Kind.MUL})
BATCH: Final = 1
"""The first side of whatever is computed; a tensor that has another one there, or an unknown shape, is no pass's."""
FLAT: Final = 2
"""Axes of a tensor of features: batch and feature."""
FUSES: Final = frozenset({Kind.CONV, Kind.DENSE, Kind.ADD, Kind.BATCH_NORM})


@dataclass(frozen=True)
class Place:
    """Where a constant lies: input `index` of node `node`, transposed or shaped as there."""

    node: int
    index: int
    transposed: bool = False


@dataclass(frozen=True)
class Source:
    """A layer with the nodes it stands for."""

    layer: Layer
    nodes: tuple[onnx.NodeProto, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    shape: Shape = ()
    """Of what it gives."""


def read_sources(model: onnx.ModelProto, folder: Path) -> list[Source]:
    """The layers of a graph, in its order; `folder` is where weights lie that are not in it."""
    constants = {weight.name: onnx_files.array(weight, folder) for weight in model.graph.initializer}
    shapes = read_shapes(model)
    found: list[Source] = []
    for node in model.graph.node:
        before = next((each for each in found if node.input and each.layer.outputs == (node.input[0],)), None)
        if before is not None and _alone(model.graph, node.input[0]):
            joined = _joined(before, node, constants)
            if joined is not None:
                found[found.index(before)] = joined
                continue
        found.append(_source(node, constants, shapes))
    axes = find_channel_axes([each.layer for each in found], shapes)
    found = [_with_operand(each, constants, shapes, axes) for each in found]
    layers, _ = settle([each.layer for each in found], shapes)
    return [replace(each, layer=layer) for each, layer in zip(found, layers, strict=True)]


def read_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Of every tensor whose shape is known; 0 for a side that is not."""
    infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    return {info.name: tuple(side.dim_value for side in info.type.tensor_type.shape.dim) for info in infos}


def _source(node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> Source:
    kind = _kind(node, constants, shapes)
    data = [name for name in list(node.input)[: DATA.get(kind)] if name and name not in constants]
    places = _places(node, kind, constants)
    layer = Layer(
        name=node.output[0],
        kind=kind,
        operator=node.op_type,
        inputs=tuple(data),
        outputs=tuple(node.output),
        constants={role: _normal(constants[node.input[place.index]], place, role) for role, place in places.items()},
        groups=attribute(node, "group", 1) if kind is Kind.CONV else 1,
        window=_window(node, constants, shapes) if kind is Kind.CONV else None,
        order=tuple(attribute(node, "perm", ())) if kind is Kind.TRANSPOSE else (),
        numbers=_numbers(node, kind, constants),
    )
    return Source(layer, (node,), places, shapes.get(node.output[0], ()))


def _kind(node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> Kind:
    """The node's kind; OTHER for forms of it that the vocabulary does not mean."""
    kind = KINDS.get(node.op_type, Kind.OTHER)
    data = [name for name in (*node.input[: DATA.get(kind)], *node.output) if name and name not in constants]
    if not all(shapes.get(name, ())[:1] == (BATCH,) for name in data):
        return Kind.OTHER
    if kind in {Kind.FLATTEN, Kind.RESHAPE}:
        return Kind.FLATTEN if len(shapes.get(node.output[0], ())) == FLAT else Kind.RESHAPE
    foreign = _FOREIGN.get(node.op_type)
    return Kind.OTHER if foreign is not None and foreign(node, constants) else kind


def _places(node: onnx.NodeProto, kind: Kind, constants: Mapping[str, Array]) -> dict[str, Place]:
    transposed = kind is Kind.DENSE and not attribute(node, "transB", 0)
    given = enumerate(list(node.input)[1:], start=1)
    return {
        role: Place(0, index, transposed and role == "weight")
        for role, (index, name) in zip(ROLES.get(kind, ()), given, strict=False)
        if name in constants
    }


def _no_plain_product(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    factors = (attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0))
    if node.input[1] not in constants or factors != (1.0, 1.0) or attribute(node, "transA", 0):
        return True
    weight, bias = constants[node.input[1]], node.input[2] if len(node.input) > 2 else ""
    outputs = weight.shape[0 if attribute(node, "transB", 0) else -1]
    fits = not bias or (bias in constants and constants[bias].shape in {(outputs,), (1, outputs)})
    return weight.ndim != FLAT or not fits


def _no_zeros(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    value = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    return attribute(node, "mode", b"constant") != b"constant" or value is None or bool(np.any(value))


_FOREIGN: Final[Mapping[str, Callable[[onnx.NodeProto, Mapping[str, Array]], bool]]] = {
    "Conv": lambda node, constants: node.input[1] not in constants,
    "Gemm": _no_plain_product,
    "MatMul": _no_plain_product,
    "Pad": _no_zeros,
    "AveragePool": lambda node, _constants: bool(attribute(node, "count_include_pad", 0)),
    "Resize": lambda node, _constants: attribute(node, "mode", b"nearest") == b"cubic",
    "ReduceMean": lambda node, _constants: not attribute(node, "keepdims", 1),
}
"""Forms of a node that its kind does not mean."""


def _normal(value: Array, place: Place, role: str = "weight") -> Array:
    value = value.reshape(-1) if role == "bias" else value
    return np.ascontiguousarray(value.T if place.transposed else value, np.float32)


def _numbers(node: onnx.NodeProto, kind: Kind, constants: Mapping[str, Array]) -> dict[str, float]:
    if kind is Kind.BATCH_NORM:
        return {"epsilon": attribute(node, "epsilon", 1e-5)}
    if kind is Kind.CLAMP:
        bounds = zip(("low", "high"), list(node.input)[1:], strict=False)
        return {name: constants[bound].item() for name, bound in bounds if bound in constants}
    return {}


def _window(node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> Window:
    kernel = constants[node.input[1]].shape[2:]
    ones = (1,) * len(kernel)
    strides = tuple(attribute(node, "strides", ones))
    dilations = tuple(attribute(node, "dilations", ones))
    pads = tuple(attribute(node, "pads", (0,) * 2 * len(kernel)))
    mode = attribute(node, "auto_pad", b"NOTSET").decode()
    if mode.startswith("SAME"):
        sides = shapes[node.input[0]][2:]
        totals = [
            max((-(-side // stride) - 1) * stride + (size - 1) * dilation + 1 - side, 0)
            for side, stride, size, dilation in zip(sides, strides, kernel, dilations, strict=True)
        ]
        small, large = [each // 2 for each in totals], [each - each // 2 for each in totals]
        pads = (*small, *large) if mode == "SAME_UPPER" else (*large, *small)
    return Window(strides, dilations, pads[: len(kernel)], pads[len(kernel) :])


def _alone(graph: onnx.GraphProto, name: str) -> bool:
    """Whether one node reads a tensor, once, and it does not leave the graph."""
    reads = sum(list(node.input).count(name) for node in graph.node)
    return reads == 1 and all(end.name != name for end in graph.output)


def _joined(before: Source, node: onnx.NodeProto, constants: Mapping[str, Array]) -> Source | None:
    """`before` with `node` as a part of it: the bias of a MatMul, or the function behind a layer."""
    layer, place = before.layer, Place(len(before.nodes), 1)
    if layer.kind not in FUSES or layer.fused is not Fused.NONE:
        return None
    changes: dict[str, Any] = {}
    places = before.places
    if node.op_type in {"Relu", "Clip"}:
        fused = _fused(node, constants)
        changes = {"fused": fused} if fused is not None else {}
    elif (
        node.op_type == "Add"
        and layer.operator == "MatMul"
        and "bias" not in places
        and node.input[1] in constants
        and constants[node.input[1]].shape == (len(layer.weight),)
    ):
        changes = {"constants": {**layer.constants, "bias": _normal(constants[node.input[1]], place)}}
        places = {**places, "bias": place}
    if not changes:
        return None
    return Source(replace(layer, outputs=tuple(node.output), **changes), (*before.nodes, node), places)


def _fused(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Fused | None:
    if node.op_type == "Relu":
        return Fused.RELU
    numbers = _numbers(node, Kind.CLAMP, constants)
    return {(0.0, None): Fused.RELU, (0.0, 6.0): Fused.RELU6}.get((numbers.get("low", -1.0), numbers.get("high")))


def _with_operand(
    source: Source, constants: Mapping[str, Array], shapes: Mapping[str, Shape], axes: Mapping[str, int]
) -> Source:
    """An addition or multiplication by a constant: one number a channel, or one in all; else no pass knows it."""
    layer, node = source.layer, source.nodes[0]
    if layer.kind not in OPERANDS or len(layer.inputs) == len(node.input):
        return source
    index, name = next((i, name) for i, name in enumerate(node.input) if name in constants)
    shape, axis, operand = shapes[layer.inputs[0]], axes.get(layer.inputs[0]), constants[name]
    aligned = operand.reshape((1,) * (len(shape) - operand.ndim) + operand.shape)
    single = operand.size == 1
    if not single and (axis is None or aligned.size != aligned.shape[axis]):
        return replace(source, layer=replace(layer, kind=Kind.OTHER))
    known = replace(layer, constants={"operand": np.ascontiguousarray(operand.reshape(-1), np.float32)})
    return replace(source, layer=known, places={"operand": Place(0, index)})


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """A node's attribute, or the default where it has none."""
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)
