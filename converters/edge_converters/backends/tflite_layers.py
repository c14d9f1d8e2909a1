"""What each operator of a float TFLite file computes, in the words of the neutral network. Reads; edits nothing.

An operator in a form that the vocabulary does not cover (weights computed at run time, a fused function other than
ReLU, a constant that is not by channel) is `Kind.OTHER`, like one that it has no word for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edge_converters.backends import tflite_files
from edge_converters.channel_axes import settle
from edge_converters.networks import Fused, Kind, Layer, Shape, Window

Array = npt.NDArray[Any]

FUSED: Final = {
    schema.ActivationFunctionType.NONE: Fused.NONE,
    schema.ActivationFunctionType.RELU: Fused.RELU,
    schema.ActivationFunctionType.RELU6: Fused.RELU6,
}
SIMPLE: Final = {
    **dict.fromkeys(("RELU", "LOGISTIC", "TANH", "ELU", "LEAKY_RELU", "HARD_SWISH", "GELU"), Kind.ACTIVATION),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), Kind.POOL),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), Kind.RESIZE),
    "SOFTMAX": Kind.SOFTMAX,
}
"""Of one computed tensor, whatever their options are."""
CLAMPS: Final = {"RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
WEIGHT, BIAS = 1, 2
"""Positions among the inputs of convolutions and dense layers."""


@dataclass(frozen=True)
class Found:
    """A layer and the operator it stands for; if that is None, the next layer's operator does it too."""

    layer: Layer
    operator: Any
    places: Mapping[str, int]
    """Which of the operator's inputs each constant is."""
    data: tuple[int, ...] = ()
    """Which of the operator's inputs the layer's are."""


class Graph:
    """The first subgraph of a file, with names that are unique."""

    def __init__(self, content: tflite_files.Content) -> None:
        self.model = tflite_files.unpack(content)
        self.main = self.model.subgraphs[0]
        written = {int(place) for operator in self.main.operators for place in operator.outputs}
        self.computed = written | {int(place) for place in self.main.inputs}
        self.names = self._unique_names()

    def _unique_names(self) -> list[str]:
        """Of all tensors. Of two with the same name the computed one keeps it."""
        names, taken = [""] * len(self.main.tensors), set[str]()
        for place in sorted(range(len(names)), key=lambda place: place not in self.computed):
            name = (self.main.tensors[place].name or b"").decode()
            names[place] = name if name and name not in taken else f"{name}#{place}"
            taken.add(names[place])
        return names

    def word(self, operator: Any) -> str:
        """The operator's name in the schema."""
        return tflite_files.word(self.model, operator)

    def shape(self, place: int) -> Shape:
        """Of the tensor at `place`."""
        return tuple(int(side) for side in self.main.tensors[place].shape)

    def constant(self, operator: Any, position: int) -> Array | None:
        """What the file stores for an input; None if it is left out or computed."""
        place = int(operator.inputs[position]) if position < len(operator.inputs) else tflite_files.NONE
        if place == tflite_files.NONE or place in self.computed:
            return None
        return tflite_files.constant(self.model, self.main.tensors[place])

    def floats(self, operator: Any) -> bool:
        """Whether all that goes in and out is float32, but for shapes, axes and the like."""
        places = [int(place) for place in operator.outputs]
        places += [int(place) for place in operator.inputs if int(place) in self.computed]
        return all(self.main.tensors[place].type == schema.TensorType.FLOAT32 for place in places)


def find_layers(graph: Graph) -> list[Found]:
    """All layers, in the file's order."""
    found = [each for operator in graph.main.operators for each in _layers(operator, graph)]
    plain = [each.layer for each in found]
    layers, _ = settle(plain, find_shapes(graph, plain), conv_axis=-1)
    return [replace(each, layer=layer) for each, layer in zip(found, layers, strict=True)]


def find_shapes(graph: Graph, layers: Sequence[Layer]) -> dict[str, Shape]:
    """Of every computed tensor, by name, and of the flattening before a dense layer."""
    shapes = {graph.names[place]: graph.shape(place) for place in sorted(graph.computed)}
    for layer in layers:
        if layer.outputs and layer.outputs[0] not in shapes:
            shapes[layer.outputs[0]] = (1, int(np.prod(shapes[layer.inputs[0]])))
    return shapes


def _layers(operator: Any, graph: Graph) -> list[Found]:
    plain, word = _plain(operator, graph), graph.word(operator)
    given = FUSED.get(getattr(operator.builtinOptions, "fusedActivationFunction", schema.ActivationFunctionType.NONE))
    if given is None or not plain.data or not graph.floats(operator):
        return [plain]
    fused = replace(plain, layer=replace(plain.layer, fused=given))
    if plain.data == (0,) and word in SIMPLE:
        return [_with(fused, SIMPLE[word])]
    if word in CLAMPS:
        low, high = CLAMPS[word]
        return [_with(fused, Kind.CLAMP, numbers={"low": low, "high": high})]
    known = READERS[word](fused, graph) if word in READERS else None
    if known is None:
        return [plain]
    return _behind_flatten(known, graph) if known.layer.kind is Kind.DENSE else [known]


def _plain(operator: Any, graph: Graph) -> Found:
    data = tuple(position for position, place in enumerate(operator.inputs) if int(place) in graph.computed)
    outputs = tuple(graph.names[int(place)] for place in operator.outputs)
    layer = Layer(
        name=outputs[0] if outputs else f"operator {graph.main.operators.index(operator)}",
        kind=Kind.OTHER,
        operator=graph.word(operator),
        inputs=tuple(graph.names[int(operator.inputs[position])] for position in data),
        outputs=outputs,
    )
    return Found(layer, operator, {}, data)


def _with(found: Found, kind: Kind, constants: Mapping[str, Array] | None = None, **changes: Any) -> Found:
    real = {role: np.ascontiguousarray(value, np.float32) for role, value in (constants or {}).items()}
    return replace(found, layer=replace(found.layer, kind=kind, constants=real, **changes))


def _shapes(found: Found, graph: Graph) -> tuple[Shape, Shape]:
    """Of the first computed input and the output."""
    return graph.shape(int(found.operator.inputs[found.data[0]])), graph.shape(int(found.operator.outputs[0]))


# ---- operators with weights ------------------------------------------------------------------------------------------


def _weights(found: Found, graph: Graph) -> dict[str, Array] | None:
    """Weight and, where there is one, bias as stored; None if they are not constant floats."""
    operator, weight = found.operator, graph.constant(found.operator, WEIGHT)
    bias = graph.constant(operator, BIAS)
    if found.data != (0,) or weight is None or weight.dtype != np.float32:
        return None
    return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}


PLACES: Final = {"weight": WEIGHT, "bias": BIAS}


def _convolution(found: Found, graph: Graph) -> Found | None:
    stored, (entry, _) = _weights(found, graph), _shapes(found, graph)
    if stored is None:
        return None
    depthwise = found.layer.operator == "DEPTHWISE_CONV_2D"
    weight = stored["weight"].transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    groups = entry[-1] if depthwise else entry[-1] // weight.shape[1]
    window = window_of(found.operator.builtinOptions, entry[1:3], weight.shape[2:])
    constants = {**stored, "weight": weight}
    return replace(_with(found, Kind.CONV, constants, groups=groups, window=window), places=PLACES)


def window_of(options: Any, sides: Sequence[int], kernel: Sequence[int]) -> Window:
    """What the options say of strides, dilations and padding, for a plane and a kernel of these sides."""
    strides = (options.strideH, options.strideW)
    dilations = (options.dilationHFactor, options.dilationWFactor)
    before: Shape = (0, 0)
    after: Shape = (0, 0)
    if options.padding == schema.Padding.SAME:
        before, after = same_pads(sides, kernel, strides, dilations)
    return Window(strides, dilations, before, after)


def same_pads(sides: Sequence[int], kernel: Sequence[int], strides: Shape, dilations: Shape) -> tuple[Shape, Shape]:
    """Zeros before and after each side for as many positions as strides fit in; the odd one comes after."""
    totals = [
        max((-(-side // stride) - 1) * stride + (size - 1) * dilation + 1 - side, 0)
        for side, size, stride, dilation in zip(sides, kernel, strides, dilations, strict=True)
    ]
    return tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)


def _dense(found: Found, graph: Graph) -> Found | None:
    stored, (entry, _) = _weights(found, graph), _shapes(found, graph)
    shuffled = found.operator.builtinOptions.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT
    if stored is None or shuffled or stored["weight"].shape[1] not in {entry[-1], int(np.prod(entry))}:
        return None
    return replace(_with(found, Kind.DENSE, stored), places=PLACES)


def _behind_flatten(found: Found, graph: Graph) -> list[Found]:
    """A dense layer, and before it the flattening that the operator does by itself."""
    layer, (entry, _) = found.layer, _shapes(found, graph)
    if layer.weight.shape[1] == entry[-1]:
        return [found]
    flat = f"{layer.name}/flatten"
    before = Layer(flat, Kind.FLATTEN, "RESHAPE", layer.inputs, (flat,))
    return [Found(before, None, {}), replace(found, layer=replace(layer, inputs=(flat,)))]


# ---- others ----------------------------------------------------------------------------------------------------------


def _binary(found: Found, graph: Graph) -> Found | None:
    """Of two tensors with the same channels, or of one and a constant by channel or of one element."""
    operator, kind = found.operator, Kind[found.layer.operator]
    entry, end = _shapes(found, graph)
    if len(found.data) == 2:
        shapes = [graph.shape(int(place)) for place in operator.inputs]
        return (
            _with(found, kind) if all(shape[-1:] == end[-1:] and len(shape) == len(end) for shape in shapes) else None
        )
    position = 1 - found.data[0]
    operand = graph.constant(operator, position)
    by_channel = operand is not None and operand.ndim and operand.size == operand.shape[-1] == end[-1]
    if operand is None or operand.dtype != np.float32 or entry != end or not (operand.size == 1 or by_channel):
        return None
    return replace(_with(found, kind, {"operand": operand.reshape(-1)}), places={"operand": position})


def _mean(found: Found, graph: Graph) -> Found | None:
    """Over the plane: all axes but the first and the last."""
    axes, (entry, _) = graph.constant(found.operator, 1), _shapes(found, graph)
    if axes is None or {int(axis) % len(entry) for axis in axes.reshape(-1)} != set(range(1, len(entry) - 1)):
        return None
    return _with(found, Kind.POOL)


def _pad(found: Found, graph: Graph) -> Found | None:
    amounts = graph.constant(found.operator, 1)
    if found.data != (0,) or amounts is None or amounts[0].any() or amounts[-1].any():
        return None
    return _with(found, Kind.PAD)


def _concatenation(found: Found, graph: Graph) -> Found | None:
    """Along the last axis, of computed tensors alone."""
    operator, (_, end) = found.operator, _shapes(found, graph)
    along_last = operator.builtinOptions.axis % len(end) == len(end) - 1
    return _with(found, Kind.CONCAT) if along_last and len(found.data) == len(operator.inputs) else None


def _reshape(found: Found, graph: Graph) -> Found | None:
    _, end = _shapes(found, graph)
    if found.data != (0,):
        return None
    return _with(found, Kind.FLATTEN if len(end) == 2 and end[0] == 1 else Kind.RESHAPE)


def _transpose(found: Found, graph: Graph) -> Found | None:
    order = graph.constant(found.operator, 1)
    return None if order is None else _with(found, Kind.TRANSPOSE, order=tuple(int(axis) for axis in order))


READERS: Final[dict[str, Callable[[Found, Graph], Found | None]]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _dense,
    "ADD": _binary,
    "MUL": _binary,
    "MEAN": _mean,
    "PAD": _pad,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
}
