"""One-shot pruning without retraining: each layer's weights go where the network's answers suffer least.

Layer by layer in order, by optimal brain surgery on what the layer sees *in the network pruned so far*, towards what it
answered in the original one: Frantar & Alistarh, "SparseGPT", ICML 2023, with the exact order of removal of Frantar,
Singh & Alistarh, "Optimal Brain Compression", NeurIPS 2022. How much each layer gives follows from the error that its
pruning alone makes at the network's outputs, how much each of its channels gives from its `relevances`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Network, Shape
from edge_converters.passes.allocation import allocate
from edge_converters.passes.judging import JUDGED, answers, output_error
from edge_converters.passes.relevance import relevances
from edge_converters.passes.surgeon import (
    DAMPING,
    UNSTRUCTURED,
    Order,
    Pattern,
    problems,
    refit,
    removal_order,
    survivors,
)
from edge_converters.passes.unfolding import Moments, matrix, moments, with_matrix

LEVELS: Final = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares of a layer's weights at which its sensitivity is measured."""
DAMPINGS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
TRUST: Final = 0.5
"""In relevances: between 0, which takes channels for equal, and 1, which takes their errors for independent."""
PARTS: Final = 4
"""One in so many samples is held back when a layer's damping is chosen."""


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
    """The network with so many blocks gone from each of these layers; the others are fitted to what they now see.

    `damping` leads the choice of what goes. How strongly the weights that stay are tied to what they were is chosen
    for each layer by the error on a part of the samples that they are not fitted to.
    """
    fitted, held_back = _parts(evidence)
    relevance, now = relevances(network), network
    for layer in network.weighted_layers:
        some, rest = (moments(network, now, layer.name, part) for part in (fitted, held_back))
        weights, count = matrix(layer), doomed.get(layer.name, 0)
        plan = _Surgery.plan(some + rest, weights, relevance.get(layer.outputs[0]), pattern, damping, count)
        stays = plan.stays(count)
        trials = [_refitted(some, weights, stays, each) for each in DAMPINGS]
        best = int(np.argmin([rest.errors(trial).sum() for trial in trials]))
        now = now.replacing(with_matrix(layer, _refitted(some + rest, weights, stays, DAMPINGS[best])))
    return now


def shares(
    network: Network, evidence: Evidence, *, sparsity: float, pattern: Pattern, damping: float = DAMPING
) -> dict[str, int]:
    """How many blocks go from each layer, so that `sparsity` of all weights are zero and the outputs err least."""
    fitting = [layer for layer in network.weighted_layers if pattern.fits(layer.weight.shape[1])]
    if pattern.fixed is not None:
        return {layer.name: round(layer.weight.size * pattern.fixed) for layer in fitting}
    samples = evidence.samples[:JUDGED]
    expected, relevance = answers(network, evidence.run, samples), relevances(network)
    costs, gives = [], []
    for layer in fitting:
        blocks = np.array([int(level * layer.weight.size / pattern.block) for level in LEVELS])
        seen, weights = moments(network, network, layer.name, evidence), matrix(layer)
        surgery = _Surgery.plan(seen, weights, relevance.get(layer.outputs[0]), pattern, damping, int(blocks[-1]))
        fits = [_refitted(seen, weights, surgery.stays(count), damping) for count in blocks.tolist()]
        edits = [network.replacing(with_matrix(layer, rows)) for rows in fits]
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
    """The order in which a layer's blocks go."""

    orders: list[Order]
    pattern: Pattern
    shape: Shape
    """Of the layer's matrix."""

    @classmethod
    def plan(
        cls, seen: Moments, weights: Array, relevance: Array | None, pattern: Pattern, damping: float, most: int
    ) -> _Surgery:
        """`most`: how many blocks will be asked for at most; without any, no order is needed.

        `relevance` ([outputs]) is how much an error of each output matters; equally, if it is not known.
        """
        found = problems(seen, weights, damping) if most else ()
        orders = [removal_order(each, pattern, each.best) for each in found]
        if relevance is not None:
            by_group = (relevance**TRUST).reshape(len(weights), -1, 1)
            orders = [Order(order.blocks, order.losses * own) for order, own in zip(orders, by_group, strict=False)]
        return cls(orders, pattern, weights.shape)

    def stays(self, count: int) -> Array:
        """What is left without `count` blocks, as booleans in the layer's matrix."""
        return survivors(self.orders, self.pattern, count, self.shape[-1]) if count else np.ones(self.shape, bool)


def _refitted(seen: Moments, weights: Array, stays: Array, damping: float) -> Array:
    """The layer's matrix with the best values where it `stays`, and zeros elsewhere."""
    found = problems(seen, weights, damping)
    return np.stack([refit(problem, mask) for problem, mask in zip(found, stays, strict=True)])


def _parts(evidence: Evidence) -> tuple[Evidence, Evidence]:
    """Three quarters of the samples, and every fourth; all of them twice, if there are too few to divide."""
    every = np.arange(len(evidence.samples))
    last = every % PARTS == PARTS - 1
    if not last.any():
        return evidence, evidence
    return replace(evidence, samples=evidence.samples[~last]), replace(evidence, samples=evidence.samples[last])


def _steepness(cost: Array, give: Array, option: int) -> float:
    """Error a weight, at the end of what a layer gives."""
    if option == 0:
        return -1.0
    return float((cost[option] - cost[option - 1]) / (give[option] - give[option - 1]))
