"""Which channels of which tensors stand or fall together, and the removal of some. Pure.

A channel that a residual addition, a depthwise convolution, a pool or a concatenation ties to others can only be taken
out with them: the dependency graph of Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.networks import Kind, Layer, Network

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

TYING: Final = frozenset({
    Kind.BATCH_NORM, Kind.ACTIVATION, Kind.CLAMP, Kind.POOL, Kind.RESIZE, Kind.PAD, Kind.TRANSPOSE, Kind.ADD, Kind.MUL,
})  # fmt: skip
"""Channel c of each of their tensors belongs to channel c of the others."""


@dataclass(frozen=True)
class ChannelGroups:
    """Every channel's group, by tensor: [channels] of group numbers. `frozen` groups cannot be removed."""

    of: Mapping[str, npt.NDArray[np.intp]]
    count: int
    frozen: Mask

    def members(self, tensor: str, chosen: Mask) -> Mask:
        """Which channels of a tensor belong to one of the `chosen` groups ([count])."""
        return np.asarray(chosen[self.of[tensor]])


def find_groups(network: Network) -> ChannelGroups:
    """The groups of a network's channels."""
    tensors = [name for name in network.shapes if network.channels(name)]
    starts = dict(zip(tensors, np.cumsum([0, *(network.channels(name) for name in tensors)]), strict=False))
    total = sum(network.channels(name) for name in tensors)
    parents = np.arange(total)
    for layer in network.layers:
        for (first, left), (second, right) in _ties(layer, network):
            _unite(parents, starts[first] + left, starts[second] + right)
    roots = np.array([_root(parents, each) for each in range(total)], np.intp)
    numbers, of_all = np.unique(roots, return_inverse=True)
    of = {name: of_all[starts[name] : starts[name] + network.channels(name)] for name in tensors}
    frozen = np.zeros(len(numbers), bool)
    for name in (*network.inputs, *network.outputs, *_held(network)):
        if name in of:
            frozen[of[name]] = True
    return ChannelGroups(of, len(numbers), frozen)


def remove(network: Network, groups: ChannelGroups, doomed: Mask) -> Network:
    """The network without the `doomed` groups ([groups.count]). Their readers must not need them any more.

    Raises:
        ValueError: a doomed group is frozen, or nothing would be left of a tensor.
    """
    if (doomed & groups.frozen).any():
        raise ValueError("a channel that the network's ends or an unknown operator need cannot be removed")
    keep = {name: ~groups.members(name, doomed) for name in groups.of}
    if not all(mask.any() for mask in keep.values()):
        raise ValueError("at least one channel of every tensor stays")
    shapes = dict(network.shapes)
    for name, mask in keep.items():
        axis = network.channel_axes[name]
        shapes[name] = (*shapes[name][:axis], int(mask.sum()), *shapes[name][axis + 1 :])
    layers = tuple(_sliced(layer, keep) for layer in network.layers)
    return replace(network, layers=layers, shapes=shapes)


def sparing(groups: ChannelGroups, doomed: Mask) -> Mask:
    """`doomed` without the first group of each tensor that would lose all its channels."""
    spared = doomed.copy()
    for name in groups.of:
        if groups.members(name, spared).all():
            spared[groups.of[name][0]] = False
    return spared


Side = tuple[str, Any]


def _ties(layer: Layer, network: Network) -> Iterator[tuple[Side, Side]]:
    """Pairs of tensors with the channels of each that belong together."""
    if layer.depthwise:
        outs = np.arange(network.channels(layer.outputs[0]))
        yield (layer.inputs[0], outs // (len(outs) // layer.groups)), (layer.outputs[0], outs)
    elif layer.kind in TYING and _alike(layer, network):
        every = np.arange(network.channels(layer.outputs[0]))
        yield from (((name, every), (layer.outputs[0], every)) for name in layer.inputs)
    elif layer.kind is Kind.CONCAT and _concatenates(layer, network):
        start = 0
        for name in layer.inputs:
            every = np.arange(network.channels(name))
            yield (name, every), (layer.outputs[0], start + every)
            start += len(every)
    elif layer.kind is Kind.FLATTEN and _alike(layer, network, equal=False):
        channel = channel_of_feature(network, layer.inputs[0])
        yield (layer.inputs[0], channel), (layer.outputs[0], np.arange(len(channel)))


def channel_of_feature(network: Network, tensor: str) -> npt.NDArray[np.intp]:
    """For each feature of a tensor's flattened form, the channel it comes from."""
    shape, axis = network.shapes[tensor], network.channel_axes[tensor]
    along = np.arange(shape[axis]).reshape([-1 if each == axis else 1 for each in range(len(shape))])
    return np.broadcast_to(along, shape).reshape(-1)


def _alike(layer: Layer, network: Network, equal: bool = True) -> bool:
    """Whether all tensors of a layer have channels, and as many."""
    counts = {network.channels(name) for name in (*layer.inputs, *layer.outputs)}
    return 0 not in counts and (len(counts) == 1 or not equal)


def _concatenates(layer: Layer, network: Network) -> bool:
    counts = [network.channels(name) for name in layer.inputs]
    return all(counts) and sum(counts) == network.channels(layer.outputs[0])


def _held(network: Network) -> Iterator[str]:
    """Tensors whose channels must all stay: an operator that no rule ties reads or gives them."""
    for layer in network.layers:
        free = layer.weighted and (layer.groups == 1 or layer.depthwise)
        if not free and not any(True for _ in _ties(layer, network)):
            yield from (*layer.inputs, *layer.outputs)


def _sliced(layer: Layer, keep: Mapping[str, Mask]) -> Layer:
    entry = keep.get(layer.inputs[0]) if layer.inputs else None
    end = keep.get(layer.outputs[0])
    if end is None or entry is None or (entry.all() and end.all()):
        return layer
    if layer.depthwise:
        rows = {role: value[end] for role, value in layer.constants.items()}
        return replace(layer, constants=rows, groups=int(entry.sum()))
    if layer.weighted:
        rows = {role: value[end] for role, value in layer.constants.items()}
        return replace(layer, constants={**rows, "weight": rows["weight"][:, entry]})
    cut = {role: value[end] if len(value) == len(end) else value for role, value in layer.constants.items()}
    return replace(layer, constants=cut)


def _root(parents: npt.NDArray[np.intp], each: int) -> int:
    while parents[each] != each:
        parents[each] = parents[parents[each]]
        each = int(parents[each])
    return each


def _unite(parents: npt.NDArray[np.intp], left: Array, right: Array) -> None:
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        a, b = _root(parents, one), _root(parents, other)
        parents[max(a, b)] = min(a, b)
