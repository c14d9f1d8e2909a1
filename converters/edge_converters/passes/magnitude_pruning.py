"""Pruning by the size of weights alone, for networks that are trained afterwards.

A weight's size counts against those of its own layer: Lee et al., "Layer-adaptive Sparsity for the Magnitude-based
Pruning", ICLR 2021. Depthwise layers stay whole: they have few weights and need them. Without training afterwards,
`pruning` loses far less.
"""

from __future__ import annotations

import numpy as np

from edge_converters.networks import Array, Evidence, Layer, Network
from edge_converters.passes.surgeon import UNSTRUCTURED, Pattern


def prune_by_magnitude(
    network: Network, evidence: Evidence, *, sparsity: float = 0.5, pattern: Pattern = UNSTRUCTURED
) -> Network:
    """The network with `sparsity` of all its weights zero; what is zero already is counted and stays so.

    A pattern with a fixed share (2:4) is put on every layer that it fits, whatever `sparsity` says.

    Raises:
        ValueError: the layers that can be pruned do not have so many weights, or none fits the pattern.
    """
    layers = [layer for layer in network.weighted_layers if not layer.depthwise]
    if pattern.of:
        fitting = [layer for layer in layers if pattern.fits(layer.weight.shape[1])]
        if not fitting:
            raise ValueError(f"no layer has inputs in groups of {pattern.of}")
        return network.replacing(*(_thinned(layer, pattern) for layer in fitting))
    return network.replacing(*_cut(layers, round(sparsity * network.weight_count)))


def scores(weight: Array) -> Array:
    """Each weight's square over the sum of the squares that are not smaller; the largest of a layer has 1."""
    squares = weight.astype(np.float64).ravel() ** 2
    order = np.argsort(squares, kind="stable")
    left = np.cumsum(squares[order][::-1])[::-1]
    found = np.empty_like(squares)
    found[order] = squares[order] / np.maximum(left, np.finfo(np.float64).tiny)
    return found.reshape(weight.shape)


def _cut(layers: list[Layer], count: int) -> list[Layer]:
    """The layers without the `count` weights of the lowest scores; each keeps its largest weight."""
    least = sum(layer.weight.size - 1 for layer in layers)
    if count > least:
        raise ValueError(f"{count} weights cannot go: the layers that are pruned have {least} to give")
    ranks = [scores(layer.weight).ravel() for layer in layers]
    for each in ranks:
        each[each.argmax()] = np.inf
    gone = np.zeros(sum(each.size for each in ranks), bool)
    gone[np.argsort(np.concatenate(ranks), kind="stable")[:count]] = True
    parts = np.split(gone, np.cumsum([each.size for each in ranks])[:-1])
    return [
        layer.with_constants(weight=np.where(part.reshape(layer.weight.shape), 0, layer.weight))
        for layer, part in zip(layers, parts, strict=True)
    ]


def _thinned(layer: Layer, pattern: Pattern) -> Layer:
    """Of each group of neighbouring input channels the largest weights stay."""
    last = np.moveaxis(layer.weight, 1, -1)
    grouped = last.reshape(-1, pattern.of)
    small = np.argsort(np.abs(grouped), axis=1, kind="stable")[:, : pattern.of - pattern.keep]
    thin = grouped.copy()
    np.put_along_axis(thin, small, 0, axis=1)
    return layer.with_constants(weight=np.moveaxis(thin.reshape(last.shape), -1, 1))
