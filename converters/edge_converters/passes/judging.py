"""How far an edited network's answers are from the original's: the one number by which passes judge their work."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_converters.networks import Array, Kind, Network, Run

JUDGED: Final = 64
"""Samples by which a pass measures the sensitivity of a part."""


def answers(network: Network, run: Run, samples: Array) -> list[Array]:
    """[n, features] of each output; in front of a softmax, which would hide differences between sure answers."""
    names = [_before_softmax(network, name) for name in network.outputs]
    got = run(network, list(dict.fromkeys(names)), samples)
    return [np.asarray(got[name], np.float64).reshape(len(samples), -1) for name in names]


def output_error(network: Network, run: Run, samples: Array, expected: list[Array]) -> float:
    """Squared difference to the `expected` answers as a share of their variance, the mean of all outputs."""
    got = answers(network, run, samples)
    return float(np.mean([_error(each, wanted) for each, wanted in zip(got, expected, strict=True)]))


def _error(got: Array, wanted: Array) -> float:
    spread = ((wanted - wanted.mean(axis=0)) ** 2).sum()
    return float(((got - wanted) ** 2).sum() / max(spread, 1e-30))


def _before_softmax(network: Network, name: str) -> str:
    layer = network.writers[name]
    return layer.inputs[0] if layer.kind is Kind.SOFTMAX else name
