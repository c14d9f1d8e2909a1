"""A dense layer or convolution as two thinner ones, where that takes fewer weights.

Truncated singular value decomposition (Denton et al., "Exploiting Linear Structure Within Convolutional Networks for
Efficient Evaluation", NIPS 2014) of the weights as the data meets them: of the layer's answers, not of its weights
(Zhang, Zou, He & Sun, "Accelerating Very Deep Convolutional Networks for Classification and Detection", TPAMI 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Fused, Kind, Layer, Network, Window
from edge_converters.passes.unfolding import Moments, matrix, moments

ENERGY: Final = 0.995
"""Of the variance of a layer's answers that the rank must keep."""
FLAT: Final = 2
"""Dimensions of a dense layer's input that every format can take."""


def factorise(network: Network, evidence: Evidence, *, energy: float = ENERGY) -> Network:
    """The network with layers split in two, each as thin as keeps `energy` (0 ... 1) of its answers' variance.

    A layer is split only if both parts together have fewer weights than it. The first, `<name>/thin`, has the layer's
    window and no bias; the second, `<name>/wide`, is of size 1 and has the fused activation and a bias that keeps the
    mean of every channel.
    """
    now = network
    for layer in network.weighted_layers:
        if layer.groups == 1 and (layer.kind is Kind.CONV or len(network.shapes[layer.inputs[0]]) == FLAT):
            seen = moments(network, now, layer.name, evidence)
            directions = principal(matrix(layer)[0, :, :-1], seen, energy)
            if directions.shape[1] * (layer.weight[0].size + len(layer.weight)) < layer.weight.size:
                now = _split(now, layer, directions, seen)
    return now


def principal(rows: Array, seen: Moments, energy: float) -> Array:
    """[outputs, rank]: orthonormal directions that hold this share of the variance of `rows` @ input."""
    mean = seen.mean_input[0, :-1]
    spread = rows @ (seen.inputs[0, :-1, :-1] / seen.rows - np.outer(mean, mean)) @ rows.T
    power, directions = np.linalg.eigh((spread + spread.T) / 2)
    kept = np.cumsum(np.maximum(power[::-1], 0))
    rank = min(int(np.searchsorted(kept, energy * kept[-1])) + 1, len(rows))
    return np.asarray(directions[:, ::-1][:, :rank])


def _split(network: Network, layer: Layer, directions: Array, seen: Moments) -> Network:
    rank = directions.shape[1]
    flat = layer.weight.reshape(len(layer.weight), -1).astype(np.float64)
    answered = directions @ (directions.T @ (matrix(layer)[0, :, :-1] @ seen.mean_input[0, :-1]))
    size = (1,) * (layer.weight.ndim - 2)
    still = Window(size, size, (0,) * len(size), (0,) * len(size))
    between = next(name for name in _names(f"{layer.name}/thin") if name not in network.shapes)
    first = replace(layer, name=between.removesuffix(":0"), outputs=(between,), fused=Fused.NONE, constants={})
    second = replace(layer, name=f"{layer.name}/wide", inputs=(between,), window=still if layer.window else None)
    thin = first.with_constants(weight=(directions.T @ flat).reshape(rank, *layer.weight.shape[1:]))
    wide = second.with_constants(weight=directions.reshape(-1, rank, *size), bias=seen.mean_target[0] - answered)
    end = layer.outputs[0]
    axis, shape = network.channel_axes[end], network.shapes[end]
    layers = (part for each in network.layers for part in ((thin, wide) if each.name == layer.name else (each,)))
    return replace(
        network,
        layers=tuple(layers),
        shapes={**network.shapes, between: (*shape[:axis], rank, *shape[axis + 1 :])},
        channel_axes={**network.channel_axes, between: axis},
    )


def _names(stem: str) -> Iterator[str]:
    """Of a tensor between the parts: another where the layer is itself a part of one that was split."""
    yield f"{stem}:0"
    yield from (f"{stem}{number}:0" for number in count(2))
