"""Metrics of answers that are values: how much of the truth they explain, how far they err."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_converters import scoring
from edge_converters.errors import BadInput
from edge_converters.metrics import Metric, Outputs, Rows, mean_metric
from edge_converters.paired import Evidence, Resampled
from edge_converters.truth import Truth

Array = npt.NDArray[Any]


def determination(truth: Truth) -> Metric:
    """R2: the variance of the true values that is explained."""
    return mean_metric("R2", "regression", _kept(truth.values("r2"), "r2"), elementwise=True)


def rmse(truth: Truth) -> Metric:
    """The root of the mean squared error."""
    return _error_metric("RMSE", truth.values("rmse"))


def rmse_of_reconstruction(truth: Truth) -> Metric:
    """The same of an autoencoder's own input."""
    return _error_metric("RMSE of the reconstruction", truth.own_inputs("rmse-reconstruction"))


def _error_metric(name: str, true: Array) -> Metric:
    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        before, after = (
            scoring.squared_errors(next(iter(each.values()))[rows], true[rows]) for each in (reference, outputs)
        )

        def value(errors: Array, chosen: Rows) -> float:
            return float(np.sqrt(errors[chosen].mean()))

        def rise(chosen: Rows) -> float:
            return value(after, chosen) / max(value(before, chosen), np.finfo(np.float64).tiny) - 1

        whole = np.arange(len(rows))
        return Resampled(value(before, whole), value(after, whole), rise(whole), len(rows), rise)

    return Metric(name, "regression", _kept(true, name), weigh, error=True)


def _kept(true: Array, name: str) -> Callable[[Outputs, Outputs, Rows], Array]:
    """1 less a sample's mean squared error over the variance of the true values."""
    variance = scoring.variance(true)
    if variance == 0:
        raise BadInput(f"{name}: the true values are the same in every sample", "Give samples that differ.")
    return lambda _, outputs, rows: (
        1 - scoring.squared_errors(next(iter(outputs.values()))[rows], true[rows]) / variance
    )
