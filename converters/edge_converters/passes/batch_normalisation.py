"""What scales and moves each channel becomes part of the convolution or dense layer before it.

Batch normalisation, y = s * (x - m) / sqrt(v + e) + o, and multiplication or addition by a constant are linear in x, so
that they scale rows of the weights and move the bias (Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2). ONNX Runtime's own folding leaves some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Fused, Kind, Layer, Network


def fold_batch_normalisation(network: Network, evidence: Evidence) -> Network:
    """The same function without the linear layers that a layer before them can take in."""
    for norm in network.layers:
        first = network.writers.get(norm.inputs[0]) if norm.inputs else None
        if norm.kind in _LINEAR and first is not None and _may_take(first, norm, network):
            joined = _joined(first, norm)
            layers = (joined if layer.name == first.name else layer for layer in network.layers)
            network = network.with_layers(layer for layer in layers if layer.name != norm.name)
    return network


def _may_take(first: Layer, norm: Layer, network: Network) -> bool:
    alone = [layer.name for layer in network.readers[norm.inputs[0]]] == [norm.name]
    linear = norm.kind is Kind.BATCH_NORM or "operand" in norm.constants
    return alone and linear and norm.inputs[0] not in network.outputs and first.weighted and first.fused is Fused.NONE


def _joined(first: Layer, norm: Layer) -> Layer:
    slope, offset = _LINEAR[norm.kind](norm, len(first.weight))
    weight = first.weight * slope.reshape(-1, *[1] * (first.weight.ndim - 1))
    joined = first.with_constants(weight=weight, bias=first.bias * slope + offset)
    return replace(joined, outputs=norm.outputs, fused=norm.fused)


def _normalised(norm: Layer, channels: int) -> tuple[Array, Array]:
    values = {role: value.astype(np.float64) for role, value in norm.constants.items()}
    slope = values["scale"] / np.sqrt(values["variance"] + norm.numbers["epsilon"])
    return slope, values["offset"] - values["mean"] * slope


def _multiplied(norm: Layer, channels: int) -> tuple[Array, Array]:
    return np.broadcast_to(norm.constants["operand"].astype(np.float64), channels), np.zeros(channels)


def _added(norm: Layer, channels: int) -> tuple[Array, Array]:
    return np.ones(channels), np.broadcast_to(norm.constants["operand"].astype(np.float64), channels)


_LINEAR: Final[Mapping[Kind, Callable[[Layer, int], tuple[Array, Array]]]] = {
    Kind.BATCH_NORM: _normalised,
    Kind.MUL: _multiplied,
    Kind.ADD: _added,
}
"""Slope and offset by channel, float64."""
