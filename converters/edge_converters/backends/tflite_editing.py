"""A file's operators after the edits of a network: patched where they were, made anew where the file had none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edge_converters.backends import tflite_files
from edge_converters.backends.tflite_layers import FUSED, Found, Graph, same_pads
from edge_converters.errors import NotConvertible
from edge_converters.networks import Kind, Layer, Network

Array = npt.NDArray[Any]

FUNCTIONS: Final = {fused: number for number, fused in FUSED.items()}
SHAPE: Final = 1
"""Position of RESHAPE's target among its inputs."""


class Editor:
    """Gives the operators of a network's layers, with their tensors put into the file."""

    def __init__(self, graph: Graph, found: Sequence[Found], network: Network) -> None:
        self._graph, self._network = graph, network
        self._found = {each.layer.name: each for each in found}
        self._places = {name: place for place, name in enumerate(graph.names)}
        self._shapes = {name: graph.shape(self._places[name]) for name in network.shapes if name in self._places}
        for place, name in enumerate(graph.names):
            graph.main.tensors[place].name = name

    def operator(self, layer: Layer) -> Any:
        """The operator that computes a layer."""
        found = self._found.get(layer.name)
        if found is not None and found.operator is not None and _still(found, layer):
            return self._patched(found, layer)
        if layer.kind not in MAKERS:
            raise NotConvertible(
                f"the layer {layer.name!r} ({layer.operator}) cannot be put into a TFLite file",
                "Leave the pass out that made it, or keep the layer as it was.",
            )
        return self._made(layer)

    def set_ends(self) -> None:
        """The file's inputs and outputs are the network's, in the signatures too."""
        main = self._graph.main
        for part, names in (("inputs", self._network.inputs), ("outputs", self._network.outputs)):
            before, after = [int(place) for place in getattr(main, part)], self._tensors(names)
            moved = dict(zip(before, after.tolist(), strict=True))
            setattr(main, part, after)
            for signature in self._graph.model.signatureDefs or []:
                for end in getattr(signature, part) or [] if signature.subgraphIndex == 0 else []:
                    end.tensorIndex = moved[end.tensorIndex]

    def _patched(self, found: Found, layer: Layer) -> Any:
        operator, before = found.operator, found.layer
        inputs = [int(place) for place in operator.inputs]
        for position, place in zip(found.data, self._tensors(layer.inputs), strict=True):
            inputs[position] = int(place)
        for role, value in layer.constants.items():
            known, position = before.constants.get(role), found.places[role]
            if known is not None and known.shape == value.shape and np.array_equal(known, value):
                continue
            inputs += [tflite_files.NONE] * (position + 1 - len(inputs))
            inputs[position] = self._constant(f"{layer.name}/{role}", self._stored(layer, role, operator))
        options = operator.builtinOptions
        if layer.fused is not before.fused:
            options.fusedActivationFunction = FUNCTIONS[layer.fused]
        if before.operator == "DEPTHWISE_CONV_2D":
            options.depthMultiplier = len(layer.weight) // layer.groups
        if before.operator == "RESHAPE" and self._moved(layer.outputs[0]):
            shape = np.array(self._network.shapes[layer.outputs[0]], np.int32)
            inputs[SHAPE:] = [self._constant(f"{layer.name}/shape", shape)]
            operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = schema.ReshapeOptionsT(shape)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), self._tensors(layer.outputs)
        return operator

    def _made(self, layer: Layer) -> Any:
        word, version, options = MAKERS[layer.kind](layer, self._network)
        if layer.kind in {Kind.FLATTEN, Kind.RESHAPE}:
            constants = {"shape": np.array(self._network.shapes[layer.outputs[0]], np.int32)}
        else:  # LiteRT's convolution does not take a missing bias
            constants = {"weight": self._stored(layer, "weight", None), "bias": layer.bias}
        places = [self._constant(f"{layer.name}/{role}", value) for role, value in constants.items()]
        return schema.OperatorT(
            opcodeIndex=tflite_files.code_index(self._graph.model, word, version),
            inputs=np.array([*self._tensors(layer.inputs), *places], np.int32),
            outputs=self._tensors(layer.outputs),
            builtinOptionsType=getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T")),
            builtinOptions=options,
        )

    def _stored(self, layer: Layer, role: str, operator: Any) -> Array:
        """A constant as the operator takes it."""
        value = np.asarray(layer.constants[role], np.float32)
        if role == "weight" and layer.kind is Kind.CONV:
            word = self._graph.word(operator) if operator is not None else _convolution_word(layer)
            return value.transpose((1, 2, 3, 0) if word == "DEPTHWISE_CONV_2D" else (0, 2, 3, 1))
        if role == "operand" and value.size > 1:
            rank = len(self._network.shapes[layer.outputs[0]])
            return value.reshape((1,) * (rank - 1) + (-1,))
        return value

    def _constant(self, name: str, value: Array) -> int:
        return tflite_files.add_tensor(self._graph.model, self._graph.main, name, value.shape, value)

    def _tensors(self, names: Sequence[str]) -> npt.NDArray[np.int32]:
        """Places of computed tensors, in the network's shapes; new ones are added."""
        return np.array([self._tensor(name) for name in names], np.int32)

    def _tensor(self, name: str) -> int:
        shape, main = self._network.shapes[name], self._graph.main
        if name not in self._places:
            self._places[name] = tflite_files.add_tensor(self._graph.model, main, name, shape)
        elif self._moved(name):
            tensor = main.tensors[self._places[name]]
            tensor.shape, tensor.shapeSignature = np.array(shape, np.int32), None
        return self._places[name]

    def _moved(self, name: str) -> bool:
        """Whether a tensor's shape is not the file's."""
        return self._shapes.get(name) != self._network.shapes[name]


def _still(found: Found, after: Layer) -> bool:
    """Whether the operator can stay, with other constants and tensors."""
    before = found.layer
    same = (before.kind, before.operator, before.window, before.order, before.numbers)
    if same != (after.kind, after.operator, after.window, after.order, after.numbers):
        return False
    if not set(before.constants) <= set(after.constants) <= {*before.constants, *found.places}:
        return False
    return before.operator != "DEPTHWISE_CONV_2D" or after.weight.shape[1] == 1


# ---- operators that the file did not have ----------------------------------------------------------------------------

Made = tuple[str, int, Any]
"""The operator's name, the version of it that is needed, and its options."""


def _convolution_word(layer: Layer) -> str:
    return "DEPTHWISE_CONV_2D" if layer.depthwise else "CONV_2D"


def _convolution(layer: Layer, network: Network) -> Made:
    window, sides = layer.window, network.shapes[layer.inputs[0]][1:3]
    if window is None or len(sides) != 2 or len(window.strides) != 2:
        raise NotConvertible(f"{layer.name!r} is no convolution over a plane", "Keep the layer as it was.")
    pads = same_pads(sides, layer.weight.shape[2:], window.strides, window.dilations)
    if window.pads and pads != (window.before, window.after):
        raise NotConvertible(
            f"TFLite has no padding of {window.before} and {window.after} for {layer.name!r}",
            "Put a layer of padding before it.",
        )
    common = {
        "padding": schema.Padding.SAME if window.pads else schema.Padding.VALID,
        "strideH": window.strides[0],
        "strideW": window.strides[1],
        "dilationHFactor": window.dilations[0],
        "dilationWFactor": window.dilations[1],
        "fusedActivationFunction": FUNCTIONS[layer.fused],
    }
    if layer.depthwise:
        multiplier = len(layer.weight) // layer.groups
        return _convolution_word(layer), 2, schema.DepthwiseConv2DOptionsT(depthMultiplier=multiplier, **common)
    return _convolution_word(layer), 1 if layer.groups == 1 else 6, schema.Conv2DOptionsT(**common)


def _dense(layer: Layer, network: Network) -> Made:
    keep = len(network.shapes[layer.outputs[0]]) > 2
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=FUNCTIONS[layer.fused], keepNumDims=keep)
    return "FULLY_CONNECTED", 5 if keep else 1, options


def _reshape(layer: Layer, network: Network) -> Made:
    return "RESHAPE", 1, schema.ReshapeOptionsT(np.array(network.shapes[layer.outputs[0]], np.int32))


MAKERS: Final[dict[Kind, Callable[[Layer, Network], Made]]] = {
    Kind.CONV: _convolution,
    Kind.DENSE: _dense,
    Kind.FLATTEN: _reshape,
    Kind.RESHAPE: _reshape,
}
"""The versions are those of the schema's operators that first had what is used: groups, dilation, kept dimensions."""
