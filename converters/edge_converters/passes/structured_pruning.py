"""Whole channels removed, without retraining, where the network's answers suffer least.

Channels go in groups that can only go together (`channel_groups`). Within tensors that are tied, the order follows from
the error that a removal leaves in the layers that read them once these are fitted anew, as in Luo, Wu & Lin, "ThiNet",
ICCV 2017, and He, Zhang & Sun, "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, computed in
closed form (`surgeon`). How many go from where follows from the error at the network's outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_converters.channel_groups import ChannelGroups, find_groups, remove, sparing
from edge_converters.networks import Array, Evidence, Layer, Network
from edge_converters.passes.allocation import allocate
from edge_converters.passes.judging import JUDGED, answers, output_error
from edge_converters.passes.surgeon import DAMPING, inverted, problems
from edge_converters.passes.unfolding import matrix, moments, with_matrix

LEVELS: Final = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
"""Shares of a family's channels at which its sensitivity is measured."""
ROUNDS: Final = 20

Size = Callable[[Network], int]
"""What shall become smaller: `multiplications` or `Network.weight_count`."""


@dataclass(frozen=True)
class Family:
    """Groups of channels of tensors that are tied to each other."""

    groups: Array
    """[count] of group numbers, the ones that go first in front."""


def multiplications(network: Network) -> int:
    """Multiply-accumulate operations of the weighted layers for one sample."""
    total = 0
    for layer in network.weighted_layers:
        places = int(np.prod(network.shapes[layer.outputs[0]])) // len(layer.weight)
        total += places * layer.weight.size
    return total


def prune_channels(
    network: Network, evidence: Evidence, *, share: float, size: Size = multiplications, damping: float = DAMPING
) -> Network:
    """The network without `share` of its multiplications (or other `size`), the layers that are left fitted anew.

    Raises:
        ValueError: so much cannot be removed.
    """
    groups = find_groups(network)
    found = [_ordered(network, groups, family, evidence, damping) for family in families(groups)]
    expected = answers(network, evidence.run, evidence.samples[:JUDGED])
    costs = []
    for family in found:
        edits = [_without(network, groups, [(family, level)], evidence, damping) for level in LEVELS]
        costs.append(np.array([output_error(e, evidence.run, evidence.samples[:JUDGED], expected) for e in edits]))
    levels = _levels(network, groups, found, costs, share, size)
    return _without(network, groups, list(zip(found, levels, strict=True)), evidence, damping)


def families(groups: ChannelGroups) -> list[Family]:
    """The removable groups, apart by tensors that have none in common, in the order of the tensors."""
    found: list[set[int]] = []
    for numbers in groups.of.values():
        own = {int(number) for number in numbers}
        tied = [each for each in found if each & own]
        found = [each for each in found if not each & own] + [own.union(*tied)]
    removable = [sorted(number for number in each if not groups.frozen[number]) for each in found]
    return [Family(np.array(each)) for each in removable if each]


def _levels(
    network: Network, groups: ChannelGroups, found: Sequence[Family], costs: list[Array], share: float, size: Size
) -> list[float]:
    """How much of each family goes. Removals of neighbours overlap, so the sum to ask for is searched."""
    whole = size(network)

    def left(removals: Sequence[tuple[Family, float]]) -> int:
        return size(remove(network, groups, _doomed(network, groups, removals)))

    gives = [np.array([whole - left([(family, level)]) for level in LEVELS]) for family in found]
    low, high = share * whole, float(sum(each.max() for each in gives))
    most = [(family, LEVELS[-1]) for family in found]
    if whole - left(most) < low:
        raise ValueError(f"channels that can be removed are too few to save {share:.0%}")
    chosen = [LEVELS[-1]] * len(found)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        levels = [LEVELS[option] for option in allocate(costs, gives, int(middle))]
        if whole - left(list(zip(found, levels, strict=True))) >= share * whole:
            chosen, high = levels, middle
        else:
            low = middle
    return chosen


def _doomed(network: Network, groups: ChannelGroups, removals: Sequence[tuple[Family, float]]) -> Array:
    doomed = np.zeros(groups.count, bool)
    for family, level in removals:
        doomed[family.groups[: int(level * len(family.groups))]] = True
    return sparing(groups, doomed)


def _without(
    network: Network,
    groups: ChannelGroups,
    removals: Sequence[tuple[Family, float]],
    evidence: Evidence,
    damping: float,
) -> Network:
    """Without so much of these families; every layer that sees less or other is fitted to the original's answers."""
    doomed = _doomed(network, groups, removals)
    now = remove(network, groups, doomed)
    changed: set[str] = set()
    for layer in now.layers:
        lost = layer.weighted and layer.groups == 1 and groups.members(layer.inputs[0], doomed).any()
        if not lost and changed.isdisjoint(layer.inputs):
            continue
        changed.update(layer.outputs)
        if layer.weighted:
            kept = np.flatnonzero(~groups.members(layer.outputs[0], doomed))
            seen = moments(network, now, layer.name, evidence, channels=kept)
            rows = np.stack([each.best for each in problems(seen, matrix(layer), damping)])
            now = now.replacing(with_matrix(layer, rows))
    return now


def _ordered(network: Network, groups: ChannelGroups, family: Family, evidence: Evidence, damping: float) -> Family:
    """The family in the order in which its groups go: the cheapest for all its readers together first."""
    readers = []
    for layer in network.weighted_layers:
        own = groups.of.get(layer.inputs[0])
        if own is not None and layer.groups == 1 and np.isin(own, family.groups).any():
            readers.append(_Reader.of(network, layer, own, evidence, damping))
    left = family.groups.tolist()
    order: list[int] = []
    while left:
        costs = [sum(reader.cost(group) for reader in readers) for group in left]
        order.append(left.pop(int(np.argmin(costs))))
        readers = [reader.without(order[-1]) for reader in readers]
    return Family(np.array(order))


@dataclass(frozen=True)
class _Reader:
    """A layer that reads channels of a family, fitted to those that are left."""

    rows: Array
    """[outputs, width]"""
    inverse: Array
    """[width, width]"""
    column_groups: Array
    """[width]: the group of the channel that each column reads; -1 for the bias."""
    energy: float
    """Of its answers, against which an error is counted."""

    @classmethod
    def of(cls, network: Network, layer: Layer, channels: Array, evidence: Evidence, damping: float) -> _Reader:
        """`channels`: the groups of its input channels."""
        seen = moments(network, network, layer.name, evidence)
        (problem,) = problems(seen, matrix(layer), damping)
        places = layer.weight[0, 0].size
        spread = seen.energy - seen.rows * seen.mean_target**2
        return cls(
            problem.best, problem.inverse, np.append(np.tile(channels, places), -1), max(float(spread.sum()), 1e-30)
        )

    def cost(self, group: int) -> float:
        """The share of its answers' variance that goes wrong without a group."""
        gone = self.column_groups == group
        part = self.rows[:, gone]
        return float(np.sum(part @ inverted(self.inverse[np.ix_(gone, gone)]) * part)) / self.energy

    def without(self, group: int) -> _Reader:
        """The reader fitted to what is left."""
        gone = self.column_groups == group
        stays = ~gone
        solved = self.inverse[np.ix_(stays, gone)] @ inverted(self.inverse[np.ix_(gone, gone)])
        return _Reader(
            self.rows[:, stays] - self.rows[:, gone] @ solved.T,
            self.inverse[np.ix_(stays, stays)] - solved @ self.inverse[np.ix_(gone, stays)],
            self.column_groups[stays],
            self.energy,
        )
