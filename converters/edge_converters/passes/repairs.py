"""Each channel's mean and spread brought back to what they were, where that helps.

For pruned or rounded weights, what re-estimating batch normalisation does in a network that still has it: Li et al.,
"EagleEye: Fast Sub-net Evaluation for Efficient Neural Network Pruning", ECCV 2020. It can hurt as well as help, so
that it is kept only if the answers to samples that it was not made from come closer to the original's.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Network, Run
from edge_converters.passes.judging import answers, output_error
from edge_converters.passes.unfolding import matrix, moments, with_matrix

NARROW: Final = 0.5
WIDE: Final = 2.0
"""A channel's spread is changed by no more than these factors: beyond them little of its signal is left to scale."""


def match_statistics(network: Network, evidence: Evidence, *, original: Network) -> Network:
    """`network` with each channel of each weighted layer scaled and shifted to its mean and spread in `original`.

    Layer by layer in order, over the calibration samples, in front of a fused activation.
    """
    now = network
    for layer in network.weighted_layers:
        seen = moments(original, now, layer.name, evidence)
        rows = matrix(layer)
        mean = np.einsum("gow,gw->go", rows, seen.mean_input)
        power = np.einsum("gow,gwv,gov->go", rows, seen.inputs, rows, optimize=True) / seen.rows
        factor = np.sqrt(_variance(seen.energy / seen.rows, seen.mean_target) / _variance(power, mean))
        scaled = rows * np.clip(factor, NARROW, WIDE)[..., None]
        scaled[..., -1] += seen.mean_target - np.einsum("gow,gw->go", scaled, seen.mean_input)
        now = now.replacing(with_matrix(layer, scaled))
    return now


def better(*candidates: Network, original: Network, run: Run, ranking: Array) -> Network:
    """Of these networks the one that answers `ranking` (inputs [n, ...]) most like `original`; the first of equals."""
    expected = answers(original, run, ranking)
    return min(candidates, key=lambda each: output_error(each, run, ranking, expected))


def _variance(power: Array, mean: Array) -> Array:
    return np.asarray(np.maximum(power - mean**2, 1e-12))
