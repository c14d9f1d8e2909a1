"""The neutral float graph that passes work on: layers, their constants, the shapes between them. Pure; reads no file.

One vocabulary and one layout of weights for every format. A backend reads a canonical float file into a `Network` and
writes an edited one back into that file (backends/onnx_network.py, backends/tflite_network.py). Batch is 1 throughout.
An operator that the vocabulary has no word for is `Kind.OTHER`: it is carried along, and no pass reaches through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Kind(StrEnum):
    """What a layer computes. Roles of its constants in brackets; all float32."""

    CONV = "conv"
    """Convolution (weight [out, in / groups, *kernel], bias [out]); `groups` equal to in: depthwise."""
    DENSE = "dense"
    """x @ weight.T + bias (weight [out, in], bias [out])."""
    BATCH_NORM = "batch-norm"
    """By channel (scale, offset, mean, variance: [channels] each); `epsilon` in `numbers`."""
    ADD = "add"
    """Of two tensors, or of one and a constant (operand: [channels] or of one element)."""
    MUL = "mul"
    """As ADD."""
    ACTIVATION = "activation"
    """One function, element by element, the same for every channel, given as `operator`."""
    CLAMP = "clamp"
    """Between two numbers, the same for every channel: `low`, `high` in `numbers`."""
    POOL = "pool"
    """Average or maximum over windows or the whole plane, each channel alone. `operator` tells which."""
    RESIZE = "resize"
    """Of the plane, each channel alone."""
    PAD = "pad"
    """The plane, with zeros."""
    CONCAT = "concat"
    """Along the channels."""
    FLATTEN = "flatten"
    """Any reshape to [1, features], row by row."""
    RESHAPE = "reshape"
    """Any other reshape or squeeze, row by row."""
    TRANSPOSE = "transpose"
    """`order` gives the input's axis for each of the output's."""
    SOFTMAX = "softmax"
    OTHER = "other"


class Fused(StrEnum):
    """The function a layer applies to its result before it gives it out."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"


@dataclass(frozen=True)
class Window:
    """How a convolution looks at its input, by spatial axis. `before` and `after` are zeros put at the ends."""

    strides: Shape
    dilations: Shape
    before: Shape
    after: Shape

    @property
    def pads(self) -> bool:
        """Whether some position sees zeros that are not in the input."""
        return any((*self.before, *self.after))


@dataclass(frozen=True)
class Layer:
    """One computation. `name` is unique and stays through every pass; `operator` is the format's own word."""

    name: str
    kind: Kind
    operator: str
    inputs: tuple[str, ...]
    """Tensors computed before it, or the network's inputs; constants are not among them."""
    outputs: tuple[str, ...]
    constants: Mapping[str, Array] = field(default_factory=dict)
    """By role; see `Kind`."""
    fused: Fused = Fused.NONE
    groups: int = 1
    window: Window | None = None
    order: Shape = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def weight(self) -> Array:
        """Of a convolution or dense layer."""
        return self.constants["weight"]

    @property
    def bias(self) -> Array:
        """Of a convolution or dense layer; zeros where it has none."""
        given = self.constants.get("bias")
        return np.zeros(len(self.weight), np.float32) if given is None else given

    @property
    def weighted(self) -> bool:
        """Whether it is a convolution or dense layer with constant weights."""
        return self.kind in {Kind.CONV, Kind.DENSE} and "weight" in self.constants

    @property
    def depthwise(self) -> bool:
        """Whether each output channel sees one input channel alone, and there are several."""
        return self.kind is Kind.CONV and self.groups > 1 and self.weight.shape[1] == 1

    def with_constants(self, **changed: Array) -> Layer:
        """The same layer with other constants."""
        return replace(self, constants={**self.constants, **{role: _real(each) for role, each in changed.items()}})


@dataclass(frozen=True)
class Network:
    """Layers in an order in which they can be computed."""

    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, Shape]
    """Of every tensor between layers and at the ends, batch included."""
    channel_axes: Mapping[str, int]
    """Of the tensors that have channels: which axis they lie along."""

    @cached_property
    def writers(self) -> Mapping[str, Layer]:
        """The layer that gives each tensor."""
        return {name: layer for layer in self.layers for name in layer.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Layer, ...]]:
        """The layers that take each tensor."""
        found: dict[str, list[Layer]] = {name: [] for name in self.shapes}
        for layer in self.layers:
            for name in dict.fromkeys(layer.inputs):
                found.setdefault(name, []).append(layer)
        return {name: tuple(layers) for name, layers in found.items()}

    @property
    def weighted_layers(self) -> tuple[Layer, ...]:
        """Convolutions and dense layers with constant weights, in order."""
        return tuple(layer for layer in self.layers if layer.weighted)

    @property
    def weight_count(self) -> int:
        """Elements of all weights, without biases."""
        return sum(layer.weight.size for layer in self.weighted_layers)

    def layer(self, name: str) -> Layer:
        """The layer of this name.

        Raises:
            KeyError: there is none.
        """
        return {layer.name: layer for layer in self.layers}[name]

    def channels(self, tensor: str) -> int:
        """How many channels a tensor has; 0 if it has none."""
        axis = self.channel_axes.get(tensor)
        return 0 if axis is None else self.shapes[tensor][axis]

    def by_channel(self, tensor: str, values: Array) -> Array:
        """[n, ...] values of a tensor with channels, as [channels, n * positions]."""
        axis = self.channel_axes[tensor]
        return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)

    def replacing(self, *changed: Layer) -> Network:
        """The same network with these layers in place of those of the same name."""
        new = {layer.name: layer for layer in changed}
        return replace(self, layers=tuple(new.get(layer.name, layer) for layer in self.layers))

    def with_layers(self, layers: Iterable[Layer]) -> Network:
        """A network of these layers; tensors that none of them knows are forgotten."""
        kept = tuple(layers)
        used = {*self.inputs, *self.outputs, *(name for layer in kept for name in (*layer.inputs, *layer.outputs))}
        shapes = {name: shape for name, shape in self.shapes.items() if name in used}
        axes = {name: axis for name, axis in self.channel_axes.items() if name in used}
        return replace(self, layers=kept, shapes=shapes, channel_axes=axes)


Run = Callable[[Network, Sequence[str], Array], Mapping[str, Array]]
"""Answers float inputs [n, ...] by the format's engine: the named tensors, [n, ...] each."""


@dataclass(frozen=True)
class Evidence:
    """What a pass may look at beside the network: calibration inputs [n, ...], float32, and a way to run networks."""

    samples: Array
    run: Run
    seed: int = 0


def _real(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)
