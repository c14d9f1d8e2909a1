"""Channels that share one range, so that one scale suits them all; the network's answers stay.

Between two layers with a ReLU in between, channel c is divided by k[c] in the first and multiplied by it in the second:
max(0, y / k) * k = max(0, y) for k > 0 (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019). Here k follows the ranges seen in calibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_converters.channel_groups import channel_of_feature
from edge_converters.networks import Array, Evidence, Fused, Kind, Layer, Network
from edge_converters.passes.unfolding import batches

SMALLEST: Final = 1 / 64
"""Of the widest channel's range: a channel that calibration hardly woke is not blown up further."""
RELU: Final = frozenset({"Relu", "RELU"})
"""The operator's name in each format."""


@dataclass(frozen=True)
class Pair:
    """Two layers whose channels can be scaled against each other; `active` is the tensor behind the ReLU."""

    first: str
    active: str
    second: str
    features: tuple[int, ...]
    """Of each input channel of `second` (in a group: of all groups), the channel of `active` that it comes from."""


def equalise(network: Network, evidence: Evidence) -> Network:
    """The same function with equalised channels."""
    found = list(pairs(network))
    now = network
    for pair, peaks in zip(found, _peaks(network, [pair.active for pair in found], evidence), strict=True):
        now = _scaled(now, pair, factors(peaks))
    return now


def factors(peaks: Array) -> Array:
    """k for channels with these largest values; 1 for a channel that was never active."""
    widest = peaks.max()
    if widest <= 0:
        return np.ones(len(peaks), np.float32)
    k = np.where(peaks > 0, np.maximum(peaks / widest, SMALLEST), 1)
    return k.astype(np.float32)


def pairs(network: Network) -> Iterator[Pair]:
    """Weighted layer, ReLU, any pools, then one weighted layer, flattened or not, where nothing else reads between."""
    for first in network.weighted_layers:
        active = _behind_relu(network, first)
        if active is None or not network.channels(active):
            continue
        reader, features = _only_reader(network, active), np.arange(network.channels(active))
        while reader is not None and reader.kind in {Kind.POOL, Kind.FLATTEN}:
            if reader.kind is Kind.FLATTEN:
                features = features[channel_of_feature(network, reader.inputs[0])]
            reader = _only_reader(network, reader.outputs[0])
        if reader is not None and reader.weighted and len(features) == reader.weight.shape[1] * reader.groups:
            yield Pair(first.name, active, reader.name, tuple(features.tolist()))


def _behind_relu(network: Network, first: Layer) -> str | None:
    """The tensor that holds what a layer gives, never below zero and without a bound above."""
    if first.fused is Fused.RELU:
        return first.outputs[0]
    reader = _only_reader(network, first.outputs[0]) if first.fused is Fused.NONE else None
    return reader.outputs[0] if reader is not None and reader.operator in RELU else None


def _only_reader(network: Network, tensor: str) -> Layer | None:
    """The one layer that reads a tensor; None if several do, or if it leaves the network."""
    readers = network.readers[tensor]
    return readers[0] if len(readers) == 1 and tensor not in network.outputs and len(readers[0].inputs) == 1 else None


def _scaled(network: Network, pair: Pair, k: Array) -> Network:
    first, second = network.layer(pair.first), network.layer(pair.second)
    bias = {"bias": first.bias / k} if "bias" in first.constants else {}
    divided = first.with_constants(weight=first.weight / _along_rows(k, first.weight.ndim), **bias)
    out, into = second.weight.shape[:2]
    channel = (np.arange(out) // (out // second.groups))[:, None] * into + np.arange(into)
    by_weight = k[np.array(pair.features)][channel].reshape(out, into, *[1] * (second.weight.ndim - 2))
    return network.replacing(divided, second.with_constants(weight=second.weight * by_weight))


def _along_rows(k: Array, dimensions: int) -> Array:
    return k.reshape(-1, *[1] * (dimensions - 1))


def _peaks(network: Network, names: list[str], evidence: Evidence) -> list[Array]:
    """The largest value of each channel of these tensors over all samples."""
    if not names:
        return []
    rows = []
    for _, samples in batches(evidence.samples):
        values = evidence.run(network, names, samples)
        rows.append([network.by_channel(name, values[name]).max(axis=1) for name in names])
    return [np.max(column, axis=0) for column in zip(*rows, strict=True)]
