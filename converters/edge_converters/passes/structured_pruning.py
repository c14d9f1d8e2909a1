"""Whole channels removed, without retraining, where the network's answers suffer least.

Channels go in groups that can only go together (`channel_groups`), in an order and at costs that are the same for every
share (`channel_ranking`). How many go from where follows from these costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from edge_converters.channel_groups import find_groups
from edge_converters.networks import Evidence, Network
from edge_converters.passes.allocation import allocate
from edge_converters.passes.channel_ranking import Family, rank_channels
from edge_converters.passes.channel_removal import Removal
from edge_converters.passes.surgeon import DAMPING

ROUNDS: Final = 20

Size = Callable[[Network], int]
"""What shall become smaller: `multiplications` or `Network.weight_count`."""


def multiplications(network: Network) -> int:
    """Multiply-accumulate operations of the weighted layers for one sample."""
    total = 0
    for layer in network.weighted_layers:
        places = int(np.prod(network.shapes[layer.outputs[0]])) // len(layer.weight)
        total += places * layer.weight.size
    return total


def prune_channels(
    network: Network,
    evidence: Evidence,
    *,
    share: float,
    size: Size = multiplications,
    damping: float = DAMPING,
    ranking: Sequence[Family] | None = None,
) -> Network:
    """The network without `share` of its multiplications (or other `size`), the layers that are left fitted anew.

    `ranking` is what `rank_channels` found out about this network and this evidence, if it was asked before.

    Raises:
        ValueError: so much cannot be removed.
    """
    found = rank_channels(network, evidence, damping=damping) if ranking is None else ranking
    removal = Removal(network, find_groups(network), evidence, damping)
    counts = _counts(removal, found, share, size)
    return removal.fitted([(family.groups, count) for family, count in zip(found, counts, strict=True)])


def _counts(removal: Removal, found: Sequence[Family], share: float, size: Size) -> list[int]:
    """How many of each family go. Removals of neighbours overlap, so the sum to ask for is searched."""
    whole = size(removal.network)

    def left(counts: Sequence[int]) -> int:
        return size(removal.thinned([(family.groups, count) for family, count in zip(found, counts, strict=True)]))

    def alone(place: int, count: int) -> list[int]:
        return [count if each == place else 0 for each in range(len(found))]

    gives = [
        np.array([whole - left(alone(place, int(count))) for count in family.gone])
        for place, family in enumerate(found)
    ]
    low, high = share * whole, float(sum(each.max() for each in gives))
    chosen = [int(family.gone[-1]) for family in found]
    if whole - left(chosen) < low:
        raise ValueError(f"channels that can be removed are too few to save {share:.0%}")
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        options = allocate([family.costs for family in found], gives, int(middle))
        counts = [int(family.gone[option]) for family, option in zip(found, options, strict=True)]
        if whole - left(counts) >= share * whole:
            chosen, high = counts, middle
        else:
            low = middle
    return chosen
