"""Channels that never change are taken out; what they gave is added to their readers' biases.

Two kinds of evidence. *Proof*: interval arithmetic over a box wider than all calibration inputs shows that the channel
cannot move. *Use*: no reader has a weight for it. Both are lossless up to rounding. A channel that only happened to be
quiet in calibration is left: an input that wakes it may come.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.channel_groups import ChannelGroups, Mask, find_groups, remove, sparing
from edge_converters.networks import Evidence, Kind, Layer, Network
from edge_converters.passes.intervals import Bounds, find_bounds

Array = npt.NDArray[Any]

STILL: Final = 1e-6
"""A channel that moves by less than this share of its tensor's largest bound is taken for constant."""
MARGIN: Final = 1.0
"""The box of inputs reaches beyond calibration by this share of its span, on both sides."""


def remove_dead_channels(network: Network, evidence: Evidence) -> Network:
    """The same function in fewer channels; repeated until nothing more is dead, for one removal may starve others."""
    low, high = float(evidence.samples.min()), float(evidence.samples.max())
    reach = MARGIN * (high - low)
    while True:
        smaller = _once(network, find_bounds(network, low - reach, high + reach))
        if smaller is network:
            return network
        network = smaller


def _once(network: Network, bounds: dict[str, Bounds]) -> Network:
    groups = find_groups(network)
    constant = _everywhere(groups, {name: _still(each) for name, each in bounds.items()})
    values = {name: np.where(groups.members(name, constant), bounds[name].middle, 0.0) for name in groups.of}
    absorbable = _absorbable(network, groups, values, constant)
    doomed = sparing(groups, ((constant & absorbable) | _unread(network, groups)) & ~groups.frozen)
    if not doomed.any():
        return network
    layers = tuple(_absorbed(layer, groups, values, doomed & constant) for layer in network.layers)
    return remove(replace(network, layers=layers), groups, doomed)


def _still(bounds: Bounds) -> Mask:
    peak = np.maximum(np.abs(bounds.low), np.abs(bounds.high))
    finite = peak[np.isfinite(peak)]
    return np.asarray(bounds.width <= STILL * (finite.max() if len(finite) else 0.0))


def _everywhere(groups: ChannelGroups, marks: dict[str, Mask]) -> Mask:
    """Groups all of whose channels are marked, in every tensor."""
    result = np.ones(groups.count, bool)
    for name, of in groups.of.items():
        np.logical_and.at(result, of, marks[name] if name in marks else np.zeros(len(of), bool))
    return result


def _absorbable(network: Network, groups: ChannelGroups, values: dict[str, Array], constant: Mask) -> Mask:
    """Groups whose readers can take the constant into a bias: zeros at a border would make it another one."""
    result = np.ones(groups.count, bool)
    for layer in _consumers(network):
        if layer.window is not None and layer.window.pads:
            name = layer.inputs[0]
            result[groups.of[name][(values[name] != 0) & groups.members(name, constant)]] = False
    return result


def _unread(network: Network, groups: ChannelGroups) -> Mask:
    """Groups that some layers read, and none with a weight that is not zero."""
    read, needed = np.zeros(groups.count, bool), np.zeros(groups.count, bool)
    for layer in _consumers(network):
        of = groups.of[layer.inputs[0]]
        weight = np.abs(layer.weight).reshape(len(layer.weight), layer.weight.shape[1], -1).max((0, 2))
        read[of] = True
        needed[of[weight > 0]] = True
    return read & ~needed


def _absorbed(layer: Layer, groups: ChannelGroups, values: dict[str, Array], doomed: Mask) -> Layer:
    """The layer with the doomed channels' part in its bias."""
    if layer.kind not in {Kind.CONV, Kind.DENSE} or not layer.weighted or layer.groups > 1:
        return layer
    name = layer.inputs[0]
    if name not in groups.of or not groups.members(name, doomed).any():
        return layer
    given = np.where(groups.members(name, doomed), values[name], 0.0)
    weight = layer.weight.astype(np.float64).reshape(len(layer.weight), layer.weight.shape[1], -1).sum(2)
    return layer.with_constants(bias=layer.bias + weight @ given) if (weight @ given).any() else layer


def _consumers(network: Network) -> list[Layer]:
    """Layers that mix channels: each reads a tensor's channels by weights of its own."""
    return [layer for layer in network.weighted_layers if layer.groups == 1 and network.channels(layer.inputs[0])]
