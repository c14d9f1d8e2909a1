"""For each tensor the range that its stored values should cover: chosen by the error it leaves behind its readers.

A range of minimum and maximum wastes steps on rare values; a narrower one saturates them. Which is better is told by
what the tensor's readers make of the rounded values: squared error of their answers, as Banner, Nahshan & Soudry,
"Post-training 4-bit Quantization of Convolution Networks for Rapid-Deployment", NeurIPS 2019, do for the tensor itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Layer, Network
from edge_converters.passes.unfolding import matrix, unfold

Range = tuple[float, float]

QUANTILES: Final = (0.9999, 0.9995, 0.999, 0.995)
"""Shares of the values that a candidate covers, on each side that is not zero; and all of them."""
ROWS: Final = 16
"""Positions of each sample that a reader's error is measured at."""
SAMPLES: Final = 64
STEPS: Final = 255


def choose_ranges(network: Network, evidence: Evidence, steps: int = STEPS) -> dict[str, Range]:
    """[minimum, maximum] of each tensor that a layer gives or the network takes, zero always among them."""
    names = [*network.inputs, *(name for layer in network.layers for name in layer.outputs)]
    samples = evidence.samples[:SAMPLES]
    chosen: dict[str, Range] = {}
    for name in dict.fromkeys(names):
        values = np.asarray(evidence.run(network, [name], evidence.samples)[name], np.float64)
        if not np.isfinite(values).all():
            continue
        candidates = list(dict.fromkeys(_candidates(values)))
        readers = network.readers.get(name, ())
        errors = [
            _error(network, readers, name, values[: len(samples)], each, steps, evidence.seed) for each in candidates
        ]
        chosen[name] = candidates[int(np.argmin(errors))]
    return chosen


def rounded(values: Array, limits: Range, steps: int = STEPS) -> Array:
    """The values as they come back from storage in this range: asymmetric, its zero point a whole number."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = (high - low) / steps or 1.0
    zero = np.rint(-low / scale)
    return np.asarray((np.clip(np.rint(values / scale) + zero, 0, steps) - zero) * scale)


def _candidates(values: Array) -> Iterator[Range]:
    """The widest first: of equal errors it is taken."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    yield low, high
    for share in QUANTILES:
        inner_low, inner_high = (float(each) for each in np.quantile(values, (1 - share, share)))
        yield (min(inner_low, 0.0) if low < 0 else 0.0), (max(inner_high, 0.0) if high > 0 else 0.0)


def _error(
    network: Network, readers: tuple[Layer, ...], name: str, values: Array, limits: Range, steps: int, seed: int
) -> float:
    """Of the readers' answers, each as a share of its own power, summed; of the values themselves where none mixes."""
    if limits[0] == limits[1]:
        return 0.0 if not values.any() else float("inf")
    difference = rounded(values, limits, steps) - values
    mixing = [layer for layer in readers if layer.weighted and network.channels(name)]
    if not mixing:
        return _share(difference, values)
    return sum(_answer_error(network, layer, difference, values, seed) for layer in mixing)


def _answer_error(network: Network, layer: Layer, difference: Array, values: Array, seed: int) -> float:
    weights = matrix(layer)[..., :-1]
    parts = [unfold(network, layer, each, ROWS, (seed,))[..., :-1] for each in (difference, values)]
    wrong, right = (np.einsum("grw,gow->gro", part, weights, optimize=True) for part in parts)
    return _share(wrong, right)


def _share(difference: Array, values: Array) -> float:
    return float((difference**2).sum() / max(float((values**2).sum()), 1e-30))
