"""Which channels of a network go first, and what it costs when a share of them goes: asked before how many shall go.

Within tensors that are tied, the order follows from the error that a removal leaves in the layers that read them once
these are fitted anew, as in Luo, Wu & Lin, "ThiNet", ICCV 2017, and He, Zhang & Sun, "Channel Pruning for Accelerating
Very Deep Neural Networks", ICCV 2017, computed in closed form (`surgeon`). What a share costs is the error at the
network's outputs, on samples that nothing was fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from edge_converters.channel_groups import ChannelGroups, find_groups
from edge_converters.networks import Array, Evidence, Layer, Network
from edge_converters.passes.channel_removal import Removal
from edge_converters.passes.judging import JUDGED, answers, output_error
from edge_converters.passes.surgeon import DAMPING, inverted, problems
from edge_converters.passes.unfolding import matrix, moments

LEVELS: Final = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
"""Shares of a family's channels that may go, but for whole blocks."""
BLOCKS: Final = ((32, 16), (16, 8), (8, 4))
"""Of a family of so many channels or more, a multiple of this stays.

Kernels work in blocks: with 56 channels for 64 in each layer, ONNX Runtime's int8 kernels for x86 took 1.35 of the time
for 0.79 of the multiplications; with 48, 0.90 for 0.60 (keyword model, AMD EPYC with VNNI). The person model took
1.36 of the time with 6 of the 8 channels of its first layer, and 0.87 with all 8 and fewer elsewhere.
"""
ROWS: Final = 4_000
"""Of each layer, for these costs: a fifth of what the network that comes out is fitted to tells families apart."""


@dataclass(frozen=True)
class Family:
    """Groups of channels of tensors that are tied to each other."""

    groups: Array
    """[count] of group numbers, the ones that go first in front."""
    gone: Array
    """[options]: how many of them may go; the first is none."""
    costs: Array
    """[options]: the error at the outputs, as a share of their variance."""


def rank_channels(network: Network, evidence: Evidence, *, damping: float = DAMPING) -> tuple[Family, ...]:
    """The network's families, each in its order and with its costs; the same for however much is to go."""
    groups = find_groups(network)
    fitted, judged = _halves(evidence)
    removal = Removal(network, groups, fitted, damping, ROWS, memory={})
    expected = answers(network, evidence.run, judged)
    found = []
    for family in families(groups):
        order = _ordered(network, groups, family, evidence, damping)
        gone = options(len(order))
        smaller = [removal.fitted([(order, count)]) for count in gone]
        costs = [output_error(each, evidence.run, judged, expected) for each in smaller]
        found.append(Family(order, np.array(gone), np.array(costs)))
    return tuple(found)


def options(count: int) -> list[int]:
    """How many of `count` channels may go, none first: what stays fills blocks, and is one block at least."""
    block = next((block for least, block in BLOCKS if count >= least), 1)
    left = [int((1 - level) * count / block) * block for level in LEVELS]
    return [0, *dict.fromkeys(count - each for each in left if each)]


def families(groups: ChannelGroups) -> list[Array]:
    """The removable groups, apart by tensors that have none in common, in the order of the tensors."""
    found: list[set[int]] = []
    for numbers in groups.of.values():
        own = {int(number) for number in numbers}
        tied = [each for each in found if each & own]
        found = [each for each in found if not each & own] + [own.union(*tied)]
    removable = [sorted(number for number in each if not groups.frozen[number]) for each in found]
    return [np.array(each) for each in removable if each]


def as_plain(found: Sequence[Family]) -> list[dict[str, Any]]:
    """As JSON takes them."""
    return [
        {"groups": each.groups.tolist(), "gone": each.gone.tolist(), "costs": each.costs.tolist()} for each in found
    ]


def from_plain(plain: Sequence[dict[str, Any]]) -> tuple[Family, ...]:
    """The inverse of `as_plain`."""
    return tuple(Family(*(np.array(each[part]) for part in ("groups", "gone", "costs"))) for each in plain)


def _halves(evidence: Evidence) -> tuple[Evidence, Array]:
    """What layers are fitted to, and what they are judged by; a single sample has to do for both."""
    fitted, judged = evidence.samples[::2][:JUDGED], evidence.samples[1::2][:JUDGED]
    return replace(evidence, samples=fitted), judged if len(judged) else fitted


def _ordered(network: Network, groups: ChannelGroups, family: Array, evidence: Evidence, damping: float) -> Array:
    """The family in the order in which its groups go: the cheapest for all its readers together first."""
    readers = []
    for layer in network.weighted_layers:
        own = groups.of.get(layer.inputs[0])
        if own is not None and layer.groups == 1 and np.isin(own, family).any():
            readers.append(_Reader.of(network, layer, own, evidence, damping))
    left = family.tolist()
    order: list[int] = []
    while left:
        costs = [sum(reader.cost(group) for reader in readers) for group in left]
        order.append(left.pop(int(np.argmin(costs))))
        readers = [reader.without(order[-1]) for reader in readers]
    return np.array(order)


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
