"""How much an error in each channel of a tensor matters at the network's outputs, told from the weights behind it.

Errors of channels are taken to be independent, and what lies between layers to let them through: the variance of an
error is carried back through squared weights, as the diagonal of a Gauss-Newton matrix is (LeCun, Denker & Solla,
"Optimal Brain Damage", NIPS 1989, equations 10 to 12).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_converters.channel_groups import channel_of_feature
from edge_converters.networks import Array, Kind, Layer, Network


def relevances(network: Network) -> dict[str, Array]:
    """[channels] for each tensor that has some; only the proportions within one tensor mean anything."""
    found: dict[str, Array] = {}
    for layer in reversed(network.layers):
        for name in layer.outputs:
            found.setdefault(name, np.ones(max(network.channels(name), 1)))
        for name, share in _carried(network, layer, found[layer.outputs[0]]):
            found[name] = found.get(name, np.zeros(len(share))) + share
    return {name: each for name, each in found.items() if network.channels(name)}


def _carried(network: Network, layer: Layer, end: Array) -> Iterator[tuple[str, Array]]:
    """What a layer hands back to its inputs; nothing where its channels are not those of its inputs."""
    if layer.weighted:
        grouped = layer.weight.reshape(layer.groups, -1, layer.weight.shape[1], layer.weight[0, 0].size)
        power = np.square(grouped.astype(np.float64)).sum(axis=3)
        yield layer.inputs[0], np.einsum("goc,go->gc", power, end.reshape(layer.groups, -1)).reshape(-1)
    elif layer.kind is Kind.CONCAT and sum(network.channels(name) for name in layer.inputs) == len(end):
        ends = np.cumsum([network.channels(name) for name in layer.inputs])[:-1]
        yield from zip(layer.inputs, np.split(end, ends), strict=True)
    elif layer.kind is Kind.FLATTEN and network.channels(layer.inputs[0]):
        channel = channel_of_feature(network, layer.inputs[0])
        yield layer.inputs[0], np.bincount(channel, weights=end, minlength=network.channels(layer.inputs[0]))
    else:
        yield from ((name, end) for name in layer.inputs if network.channels(name) == len(end))
