"""One-shot pruning without retraining: each layer's weights go where the network's answers suffer least.

Layer by layer in order, by optimal brain surgery on what the layer sees *in the network pruned so far*, towards what it
answered in the original one: Frantar & Alistarh, "SparseGPT", ICML 2023, with the exact order of removal of Frantar,
Singh & Alistarh, "Optimal Brain Compression", NeurIPS 2022. How much each layer gives follows from the error that its
pruning alone makes at the network's outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Layer, Network
from edge_converters.passes.allocation import allocate
from edge_converters.passes.judging import JUDGED, answers, output_error
from edge_converters.passes.surgeon import (
    DAMPING,
    UNSTRUCTURED,
    Order,
    Pattern,
    Problem,
    problems,
    refit,
    removal_order,
    survivors,
)
from edge_converters.passes.unfolding import matrix, moments, with_matrix

LEVELS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares of a layer's weights at which its sensitivity is measured."""


def prune(
    network: Network,
    evidence: Evidence,
    *,
    sparsity: float = 0.5,
    pattern: Pattern = UNSTRUCTURED,
    damping: float = DAMPING,
) -> Network:
    """The network with `sparsity` of all its weights zero, in `pattern`; biases stay and are corrected.

    A pattern with a fixed share (2:4) is put on every layer that it fits, whatever `sparsity` says.

    Raises:
        ValueError: the layers that the pattern fits do not have so many weights.
    """
    doomed = shares(network, evidence, sparsity=sparsity, pattern=pattern, damping=damping)
    return prune_layers(network, evidence, doomed, pattern=pattern, damping=damping)


def prune_layers(
    network: Network, evidence: Evidence, doomed: Mapping[str, int], *, pattern: Pattern, damping: float = DAMPING
) -> Network:
    """The network with so many blocks gone from each of these layers; the others are fitted to what they now see."""
    now = network
    for layer in network.weighted_layers:
        surgery = _Surgery.plan(network, now, layer.name, evidence, pattern, damping, doomed.get(layer.name, 0))
        now = now.replacing(surgery.layer(now.layer(layer.name), doomed.get(layer.name, 0)))
    return now


def shares(
    network: Network, evidence: Evidence, *, sparsity: float, pattern: Pattern, damping: float = DAMPING
) -> dict[str, int]:
    """How many blocks go from each layer, so that `sparsity` of all weights are zero and the outputs err least."""
    fitting = [layer for layer in network.weighted_layers if pattern.fits(layer.weight.shape[1])]
    if pattern.fixed is not None:
        return {layer.name: round(layer.weight.size * pattern.fixed) for layer in fitting}
    samples = evidence.samples[:JUDGED]
    expected = answers(network, evidence.run, samples)
    costs, gives = [], []
    for layer in fitting:
        blocks = np.array([int(level * layer.weight.size / pattern.block) for level in LEVELS])
        surgery = _Surgery.plan(network, network, layer.name, evidence, pattern, damping, int(blocks[-1]))
        edits = [network.replacing(surgery.layer(layer, count)) for count in blocks.tolist()]
        costs.append(np.array([output_error(each, evidence.run, samples, expected) for each in edits]))
        gives.append(blocks * pattern.block)
    target = round(sparsity * network.weight_count / pattern.block) * pattern.block
    options = allocate(costs, gives, target)
    counts = [int(give[option]) for give, option in zip(gives, options, strict=True)]
    steep = [_steepness(cost, give, option) for cost, give, option in zip(costs, gives, options, strict=True)]
    for index in np.argsort(steep)[::-1].tolist():  # what is too much stays where it is worth most
        counts[index] -= min(counts[index], sum(counts) - target)
    return {layer.name: count // pattern.block for layer, count in zip(fitting, counts, strict=True)}


@dataclass(frozen=True)
class _Surgery:
    """A layer's least squares, and the order in which its blocks go."""

    problems: list[Problem]
    orders: list[Order]
    pattern: Pattern

    @classmethod
    def plan(
        cls, target: Network, now: Network, name: str, evidence: Evidence, pattern: Pattern, damping: float, most: int
    ) -> _Surgery:
        """`most`: how many blocks will be asked for at most; without any, no order is needed."""
        weights = matrix(target.layer(name))
        found = list(problems(moments(target, now, name, evidence), weights, damping))
        orders = [removal_order(each, pattern, each.best) for each in found] if most else []
        return cls(found, orders, pattern)

    def layer(self, layer: Layer, count: int) -> Layer:
        """The layer without `count` blocks."""
        width = self.problems[0].hessian.shape[0]
        if not count:
            return with_matrix(layer, np.stack([each.best for each in self.problems]))
        stays = survivors(self.orders, self.pattern, count, width)
        return with_matrix(layer, np.stack([refit(*each) for each in zip(self.problems, stays, strict=True)]))


def _steepness(cost: Array, give: Array, option: int) -> float:
    """Error a weight, at the end of what a layer gives."""
    if option == 0:
        return -1.0
    return float((cost[option] - cost[option - 1]) / (give[option] - give[option - 1]))
