"""Between a canonical ONNX graph and the neutral network that passes work on.

A layer may stand for several nodes (MatMul, Add and Relu are one dense layer); `_Source` remembers which, so that an
edited network is written as the same nodes with other constants. Needs inferred shapes and batch 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from edge_converters.channel_axes import find_channel_axes
from edge_converters.networks import Fused, Kind, Layer, Network, Run, Shape, Window

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
FLAT: Final = 2
"""Axes of a tensor of features: batch and feature."""
FUSES: Final = frozenset({Kind.CONV, Kind.DENSE, Kind.ADD, Kind.BATCH_NORM})


@dataclass(frozen=True)
class _Place:
    """Where a constant lies: input `index` of node `node`, transposed or shaped as there."""

    node: int
    index: int
    transposed: bool = False


@dataclass(frozen=True)
class _Source:
    """A layer with the nodes it stands for."""

    layer: Layer
    nodes: tuple[onnx.NodeProto, ...]
    places: Mapping[str, _Place] = field(default_factory=dict)
    shape: Shape = ()
    """Of what it gives."""


def read(content: bytes) -> Network:
    """The network of a canonical graph."""
    model = onnx.ModelProto.FromString(content)
    return _network(_sources(model), model)


def write(content: bytes, network: Network) -> bytes:
    """The graph with the network's edits: constants, removed and new layers, shapes. Nodes and names stay otherwise."""
    written: bytes = _written(onnx.ModelProto.FromString(content), network).SerializeToString()
    return written


def _written(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    sources = {source.layer.name: source for source in _sources(model)}
    constants = {weight.name: weight for weight in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    fresh: list[onnx.TensorProto] = []
    for layer in network.layers:
        made, weights = (
            _edited(sources[layer.name], layer, network, constants) if layer.name in sources else _added(layer)
        )
        nodes += made
        fresh += weights
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    used = {name for node in nodes for name in node.input}
    kept = [weight for weight in model.graph.initializer if weight.name in used]
    for old, new in ((graph.node, nodes), (graph.initializer, [*kept, *fresh]), (graph.value_info, [])):
        del old[:]
        old.extend(new)
    return onnx.shape_inference.infer_shapes(result)


def runner(content: bytes) -> Run:
    """Runs edits of a graph in ONNX Runtime."""

    def run(network: Network, names: Sequence[str], samples: Array) -> dict[str, Array]:
        probed = _written(onnx.ModelProto.FromString(content), network)  # not kept: it is a copy of all weights
        ends = {end.name for end in probed.graph.output}
        extra = [name for name in names if name not in ends and name not in network.inputs]
        probed.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in extra)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (entry,) = (each.name for each in session.get_inputs())
        asked = [name for name in names if name != entry]
        rows = [session.run(asked, {entry: sample[None]}) for sample in samples] if asked else []
        got = {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(asked)}
        return got | ({entry: samples} if entry in names else {})

    return run


# ---- reading ---------------------------------------------------------------------------------------------------------


def _sources(model: onnx.ModelProto) -> list[_Source]:
    constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    shapes = _shapes(model)
    found: list[_Source] = []
    for node in model.graph.node:
        before = next((each for each in found if node.input and each.layer.outputs == (node.input[0],)), None)
        if before is not None and _alone(model.graph, node.input[0]):
            joined = _joined(before, node, constants)
            if joined is not None:
                found[found.index(before)] = joined
                continue
        found.append(_source(node, constants, shapes))
    axes = find_channel_axes([each.layer for each in found], shapes)
    return [_with_operand(each, constants, shapes, axes) for each in found]


def _network(sources: Iterable[_Source], model: onnx.ModelProto) -> Network:
    layers = tuple(source.layer for source in sources)
    shapes = _shapes(model)
    names = {name for layer in layers for name in (*layer.inputs, *layer.outputs)}
    kept = {name: shape for name, shape in shapes.items() if name in names}
    return Network(
        layers=layers,
        inputs=tuple(each.name for each in model.graph.input),
        outputs=tuple(each.name for each in model.graph.output),
        shapes=kept,
        channel_axes=find_channel_axes(layers, kept),
    )


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    return {info.name: tuple(side.dim_value for side in info.type.tensor_type.shape.dim) for info in infos}


def _source(node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> _Source:
    kind = _kind(node, constants, shapes)
    data = [name for name in list(node.input)[: DATA.get(kind)] if name and name not in constants]
    places = _places(node, kind, constants)
    layer = Layer(
        name=node.output[0],
        kind=kind,
        operator=node.op_type,
        inputs=tuple(data),
        outputs=tuple(node.output),
        constants={role: _normal(constants[node.input[place.index]], place) for role, place in places.items()},
        groups=_attribute(node, "group", 1) if kind is Kind.CONV else 1,
        window=_window(node, constants, shapes) if kind is Kind.CONV else None,
        order=tuple(_attribute(node, "perm", ())) if kind is Kind.TRANSPOSE else (),
        numbers=_numbers(node, kind, constants),
    )
    return _Source(layer, (node,), places, shapes.get(node.output[0], ()))


def _kind(node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> Kind:
    """The node's kind; OTHER for forms of it that the vocabulary does not mean."""
    kind = KINDS.get(node.op_type, Kind.OTHER)
    if kind in {Kind.FLATTEN, Kind.RESHAPE}:
        return Kind.FLATTEN if len(shapes.get(node.output[0], ())) == FLAT else Kind.RESHAPE
    foreign = _FOREIGN.get(node.op_type)
    return Kind.OTHER if foreign is not None and foreign(node, constants) else kind


def _places(node: onnx.NodeProto, kind: Kind, constants: Mapping[str, Array]) -> dict[str, _Place]:
    transposed = kind is Kind.DENSE and not _attribute(node, "transB", 0)
    given = enumerate(list(node.input)[1:], start=1)
    return {
        role: _Place(0, index, transposed and role == "weight")
        for role, (index, name) in zip(ROLES.get(kind, ()), given, strict=False)
        if name in constants
    }


def _no_plain_product(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    factors = (_attribute(node, "alpha", 1.0), _attribute(node, "beta", 1.0))
    return node.input[1] not in constants or factors != (1.0, 1.0) or bool(_attribute(node, "transA", 0))


def _no_zeros(node: onnx.NodeProto, constants: Mapping[str, Array]) -> bool:
    value = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    return _attribute(node, "mode", b"constant") != b"constant" or value is None or bool(np.any(value))


_FOREIGN: Final[Mapping[str, Callable[[onnx.NodeProto, Mapping[str, Array]], bool]]] = {
    "Conv": lambda node, constants: node.input[1] not in constants,
    "Gemm": _no_plain_product,
    "MatMul": _no_plain_product,
    "Pad": _no_zeros,
    "AveragePool": lambda node, _constants: bool(_attribute(node, "count_include_pad", 0)),
    "Resize": lambda node, _constants: _attribute(node, "mode", b"nearest") == b"cubic",
    "ReduceMean": lambda node, _constants: not _attribute(node, "keepdims", 1),
}
"""Forms of a node that its kind does not mean."""


def _normal(value: Array, place: _Place) -> Array:
    return np.ascontiguousarray(value.T if place.transposed else value, np.float32)


def _numbers(node: onnx.NodeProto, kind: Kind, constants: Mapping[str, Array]) -> dict[str, float]:
    if kind is Kind.BATCH_NORM:
        return {"epsilon": _attribute(node, "epsilon", 1e-5)}
    if kind is Kind.CLAMP:
        bounds = zip(("low", "high"), list(node.input)[1:], strict=False)
        return {name: float(constants[bound]) for name, bound in bounds if bound in constants}
    return {}


def _window(node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> Window:
    kernel = constants[node.input[1]].shape[2:]
    ones = (1,) * len(kernel)
    strides = tuple(_attribute(node, "strides", ones))
    dilations = tuple(_attribute(node, "dilations", ones))
    pads = tuple(_attribute(node, "pads", (0,) * 2 * len(kernel)))
    mode = _attribute(node, "auto_pad", b"NOTSET").decode()
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


def _joined(before: _Source, node: onnx.NodeProto, constants: Mapping[str, Array]) -> _Source | None:
    """`before` with `node` as a part of it: the bias of a MatMul, or the function behind a layer."""
    layer, place = before.layer, _Place(len(before.nodes), 1)
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
    return _Source(replace(layer, outputs=tuple(node.output), **changes), (*before.nodes, node), places)


def _fused(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Fused | None:
    if node.op_type == "Relu":
        return Fused.RELU
    numbers = _numbers(node, Kind.CLAMP, constants)
    return {(0.0, None): Fused.RELU, (0.0, 6.0): Fused.RELU6}.get((numbers.get("low", -1.0), numbers.get("high")))


def _with_operand(
    source: _Source, constants: Mapping[str, Array], shapes: Mapping[str, Shape], axes: Mapping[str, int]
) -> _Source:
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
    return replace(source, layer=known, places={"operand": _Place(0, index)})


# ---- writing ---------------------------------------------------------------------------------------------------------


def _edited(
    source: _Source, layer: Layer, network: Network, constants: Mapping[str, onnx.TensorProto]
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
        if before is not None and before.shape == value.shape and np.array_equal(before, value):
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
    place: _Place | None,
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
        shaped = value.reshape([len(value) if side > 1 else 1 for side in old.dims] if len(value) > 1 else old.dims)
    return nodes, numpy_helper.from_array(np.ascontiguousarray(shaped), name)


def _with_addition(nodes: list[onnx.NodeProto], bias: str) -> list[onnx.NodeProto]:
    product, rest = nodes[0], nodes[1:]
    end, between = product.output[0], f"{bias}/product"
    product.output[0] = between
    return [product, helper.make_node("Add", [between, bias], [end]), *rest]


def _added(layer: Layer) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
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


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _set_attribute(node: onnx.NodeProto, name: str, value: int) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
