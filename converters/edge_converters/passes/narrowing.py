"""A narrower network with the most important channels of a wide one: where a student begins, not where it ends.

A channel counts by the weights that write it times those that read it (the L1 norm of Li et al., "Pruning Filters for
Efficient ConvNets", ICLR 2017, made blind to the channel's own scale), batch normalisation taken in. Channels that are
tied to others go with them. What is left answers badly until it is trained.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

import numpy as np

from edge_converters.channel_groups import ChannelGroups, find_groups, remove
from edge_converters.networks import Array, Evidence, Network
from edge_converters.passes.batch_normalisation import fold_batch_normalisation

LANES: Final = 4
"""Widths are multiples of this, as dot products of int8 numbers are on most processors."""


def narrow(network: Network, evidence: Evidence, *, width: float) -> Network:
    """The network in which each family of tied channels keeps about the share `width` of them (see `kept`).

    Inputs and outputs stay, as does what an unknown operator reads or gives.

    Raises:
        ValueError: no channel can go.
    """
    groups = find_groups(network)
    worth = importance(fold_batch_normalisation(network, evidence), groups)
    doomed = np.zeros(groups.count, bool)
    for family in _families(network, groups):
        stay = kept(len(family), width)
        doomed[family[np.argsort(worth[family], kind="stable")[: len(family) - stay]]] = True
    if not doomed.any():
        raise ValueError(f"at {width:g} of its width no channel of the model can go")
    return remove(network, groups, doomed)


def kept(channels: int, width: float) -> int:
    """How many of so many channels stay: a multiple of `LANES`, at least one and at most all."""
    return min(channels, max(LANES, LANES * math.ceil(width * channels / LANES - 1e-9)))


def importance(network: Network, groups: ChannelGroups) -> Array:
    """[groups.count]: the sum of the sizes of the weights that write a channel, times that of those that read it."""
    written, read = np.zeros(groups.count), np.zeros(groups.count)
    for layer in network.weighted_layers:
        if layer.groups == 1:
            size = np.abs(layer.weight.astype(np.float64))
            np.add.at(written, groups.of[layer.outputs[0]], size.reshape(len(size), -1).sum(axis=1))
            np.add.at(read, groups.of[layer.inputs[0]], np.moveaxis(size, 1, 0).reshape(size.shape[1], -1).sum(axis=1))
    return written * read


def _families(network: Network, groups: ChannelGroups) -> list[Array]:
    """Removable groups, those together that the same layers write."""
    writers: dict[int, list[str]] = defaultdict(list)
    for layer in network.weighted_layers:
        if layer.groups == 1:
            for number in dict.fromkeys(groups.of[layer.outputs[0]].tolist()):
                writers[number].append(layer.name)
    families: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, names in sorted(writers.items()):
        if not groups.frozen[number]:
            families[tuple(names)].append(number)
    return [np.array(each) for each in families.values()]
