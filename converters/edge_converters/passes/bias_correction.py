"""Biases that take back the mean error which other weights brought into each channel.

Nagel, van Baalen, Blankevoort & Welling, "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019, section 4.2, with the means seen on calibration inputs.
"""

from __future__ import annotations

import numpy as np

from edge_converters.networks import Evidence, Network
from edge_converters.passes.unfolding import matrix, moments, with_matrix


def correct_biases(network: Network, evidence: Evidence, *, original: Network) -> Network:
    """`network` with biases such that each channel of each weighted layer has the mean that it has in `original`.

    Layer by layer in order: each sees what the corrected layers before it give. Means over the calibration samples,
    in front of a fused activation. Both networks have the same layers with weights of the same shapes.
    """
    now = network
    for layer in network.weighted_layers:
        seen = moments(original, now, layer.name, evidence)
        rows = matrix(layer)
        rows[..., -1] += seen.mean_target - np.einsum("gow,gw->go", rows, seen.mean_input)
        now = now.replacing(with_matrix(layer, rows))
    return now
