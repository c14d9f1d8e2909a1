"""Bounds of every channel for all inputs within a box: interval arithmetic through the network.

Sound for real arithmetic (Moore, "Interval Analysis", 1966): whatever lies in the box, no channel leaves its bounds.
A layer that no rule knows gives bounds of minus and plus infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.channel_groups import channel_of_feature
from edge_converters.networks import Fused, Kind, Layer, Network

Array = npt.NDArray[Any]

MONOTONE: Final[Mapping[str, Callable[[Array], Array]]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": lambda x: 1 / (1 + np.exp(-np.clip(x, -700, 700))),
    "logistic": lambda x: 1 / (1 + np.exp(-np.clip(x, -700, 700))),
    "tanh": np.tanh,
}
"""Functions that never fall, by their names in lower case in any format."""

CHUNK: Final = 1 << 18
"""Elements of a weight that are looked at together."""


@dataclass(frozen=True)
class Bounds:
    """[channels] each, float64."""

    low: Array
    high: Array

    @property
    def width(self) -> Array:
        """How far each channel can move."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.high - self.low)

    @property
    def middle(self) -> Array:
        """Of each channel."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.low + self.high) / 2)

    def with_zero(self) -> Bounds:
        """Wide enough to hold zero too."""
        return Bounds(np.minimum(self.low, 0), np.maximum(self.high, 0))

    def at(self, index: Array) -> Bounds:
        """Of these channels."""
        return Bounds(self.low[index], self.high[index])


def find_bounds(network: Network, low: float, high: float) -> dict[str, Bounds]:
    """Of each tensor with channels, if every element of the input lies in [low, high]."""
    found: dict[str, Bounds] = {}
    for name in network.inputs:
        if network.channels(name):
            count = network.channels(name)
            found[name] = Bounds(np.full(count, low, np.float64), np.full(count, high, np.float64))
    for layer in network.layers:
        for name in layer.outputs:
            if network.channels(name):
                found[name] = _fused(layer.fused, _bounds(layer, name, network, found))
    return found


def _bounds(layer: Layer, name: str, network: Network, found: Mapping[str, Bounds]) -> Bounds:
    """Of the layer's output `name`."""
    rule = _RULES.get(layer.kind)
    count = network.channels(name)
    unknown = Bounds(np.full(count, -np.inf), np.full(count, np.inf))
    if rule is None or not all(name in found for name in layer.inputs):
        return unknown
    with np.errstate(invalid="ignore"):
        got = rule(layer, network, [found[name] for name in layer.inputs])
    if got is None or len(got.low) != count or np.isnan([got.low, got.high]).any():
        return unknown
    return got


def _weighted(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds | None:
    if not layer.weighted:
        return None
    entry = entries[0].with_zero() if layer.window is not None and layer.window.pads else entries[0]
    rows, into = len(layer.weight) // layer.groups, layer.weight.shape[1]
    first = (np.arange(len(layer.weight)) // rows * into)[:, None] + np.arange(into)
    step = max(CHUNK // layer.weight[0].size, 1)
    parts = [
        _products(layer.weight[start : start + step], entry, first[start : start + step])
        for start in range(0, len(layer.weight), step)
    ]
    bias = layer.bias.astype(np.float64)
    return Bounds(bias + np.concatenate([low for low, _ in parts]), bias + np.concatenate([high for _, high in parts]))


def _products(rows: Array, entry: Bounds, first: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """The least and the most that each of some rows of a weight makes of the channels that it reads."""
    weight = rows.astype(np.float64).reshape(len(rows), rows.shape[1], -1)
    low, high = entry.low[first][..., None], entry.high[first][..., None]
    ends = np.where(weight == 0, 0, weight * low), np.where(weight == 0, 0, weight * high)
    return np.minimum(*ends).sum((1, 2)), np.maximum(*ends).sum((1, 2))


def _batch_norm(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds:
    values = {role: value.astype(np.float64) for role, value in layer.constants.items()}
    slope = values["scale"] / np.sqrt(values["variance"] + layer.numbers["epsilon"])
    return _linear(entries[0], slope, values["offset"] - slope * values["mean"])


def _linear(entry: Bounds, slope: Array, offset: Array) -> Bounds:
    ends = slope * entry.low + offset, slope * entry.high + offset
    return Bounds(np.minimum(*ends), np.maximum(*ends))


def _add(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds | None:
    if "operand" in layer.constants:
        return _linear(entries[0], np.ones(1), layer.constants["operand"].astype(np.float64))
    # one may have a single channel, which is added to all of another's
    return Bounds(np.asarray(sum(each.low for each in entries)), np.asarray(sum(each.high for each in entries)))


def _multiply(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds | None:
    if "operand" in layer.constants:
        return _linear(entries[0], layer.constants["operand"].astype(np.float64), np.zeros(1))
    one, other = entries[0], entries[-1]
    products = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
    return Bounds(np.minimum.reduce(products), np.maximum.reduce(products))


def _same(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds:
    return entries[0]


def _padded(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds:
    return entries[0].with_zero()


def _clamped(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds:
    low, high = layer.numbers.get("low", -np.inf), layer.numbers.get("high", np.inf)
    return Bounds(np.clip(entries[0].low, low, high), np.clip(entries[0].high, low, high))


def _activation(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds | None:
    function = MONOTONE.get(layer.operator.lower())
    return None if function is None else Bounds(function(entries[0].low), function(entries[0].high))


def _concat(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds:
    return Bounds(np.concatenate([each.low for each in entries]), np.concatenate([each.high for each in entries]))


def _flatten(layer: Layer, network: Network, entries: list[Bounds]) -> Bounds:
    return entries[0].at(channel_of_feature(network, layer.inputs[0]))


_RULES: Final[Mapping[Kind, Callable[[Layer, Network, list[Bounds]], Bounds | None]]] = {
    Kind.CONV: _weighted,
    Kind.DENSE: _weighted,
    Kind.BATCH_NORM: _batch_norm,
    Kind.ADD: _add,
    Kind.MUL: _multiply,
    Kind.ACTIVATION: _activation,
    Kind.CLAMP: _clamped,
    Kind.POOL: _same,
    Kind.RESIZE: _same,
    Kind.TRANSPOSE: _same,
    Kind.PAD: _padded,
    Kind.CONCAT: _concat,
    Kind.FLATTEN: _flatten,
}


def _fused(fused: Fused, bounds: Bounds) -> Bounds:
    if fused is Fused.NONE:
        return bounds
    return Bounds(MONOTONE[fused](bounds.low), MONOTONE[fused](bounds.high))
