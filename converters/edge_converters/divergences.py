"""How far a variant's answers lie from its source's, in one number without ties: it ranks layers and recipes. Pure.

Finer than any metric: it moves where no sample changes its class.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.metrics import Metric, Outputs, Rows, at
from edge_converters.truth import are_probabilities

Array = npt.NDArray[Any]

LEAST: Final = 1e-6
"""A probability that a class is given at least: integers end in zeros, of which no logarithm is taken."""


def divergence(metric: Metric, reference: Outputs, outputs: Outputs, rows: Rows) -> float:
    """Of a classifier the mean Kullback-Leibler divergence from the source's answers; else `output_error`."""
    source, variant = at(reference, rows), at(outputs, rows)
    first = next(iter(source))
    many = source[first].ndim == 2 and source[first].shape[1] > 1
    if metric.task != "classification" or not many:
        return output_error(source, variant)
    told = are_probabilities(reference[first])
    return _kullback_leibler(*(_probabilities(each[first], told) for each in (source, variant)))


def output_error(source: Outputs, variant: Outputs) -> float:
    """Squared difference as a share of the variance of the source's answers, the mean of all outputs."""
    shares = []
    for name, values in source.items():
        wanted = np.asarray(values, np.float64)
        spread = float(np.square(wanted - wanted.mean(axis=0)).sum())
        shares.append(float(np.square(variant[name] - wanted).sum()) / max(spread, 1e-30))
    return float(np.mean(shares))


def _probabilities(rows: Array, told: bool) -> Array:
    values = np.asarray(rows, np.float64)
    if not told:
        values = np.exp(values - values.max(axis=1, keepdims=True))
    values = np.maximum(values / np.maximum(values.sum(axis=1, keepdims=True), LEAST), LEAST)
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def _kullback_leibler(source: Array, variant: Array) -> float:
    return float((source * np.log(source / variant)).sum(axis=1).mean())
