"""Scores of a sample, 0 to 1: right or wrong against a label, or how far it agrees with the source model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from edge_contracts.features import top_classes
from edge_converters.guard import Bound, proportion_bound, share_bound

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
"""Real-valued outputs by name, [n, ...] each."""
Task = Literal["classification", "regression", "other"]

AGREEMENT_WIDTH: Final = 0.05
"""An element agrees within this share of its tensor's range."""


@dataclass(frozen=True)
class Metric:
    """How samples are scored."""

    name: str
    task: Task
    labels: npt.NDArray[np.int64] | None
    bound: Bound


def choose_metric(reference: Outputs, labels: npt.NDArray[np.int64] | None) -> Metric:
    """Accuracy where there are labels; else agreement of the top class, or element by element."""
    if labels is not None:
        return Metric("accuracy", "classification", labels, proportion_bound)
    if _is_classifier(reference):
        return Metric("top-class agreement with the source", "classification", None, proportion_bound)
    return Metric("elements within 5 % of the source's range", "other", None, share_bound)


def scores(metric: Metric, reference: Outputs, outputs: Outputs, rows: npt.NDArray[np.intp]) -> Array:
    """One score for each sample of `rows`."""
    chosen, expected = _at(outputs, rows), _at(reference, rows)
    if metric.labels is not None:
        return np.asarray(classes(chosen) == metric.labels[rows], np.float64)
    if metric.task == "classification":
        return np.asarray(classes(chosen) == classes(expected), np.float64)
    return agreement(reference, expected, chosen)


def classes(outputs: Outputs) -> Array:
    """The top class of the first output."""
    found: Array = top_classes(next(iter(outputs.values())))[0]
    return found


def agreement(whole: Outputs, expected: Outputs, got: Outputs) -> Array:
    """The share of elements of a sample that lie within 5 % of their tensor's range over `whole`."""
    parts = [
        (np.abs(got[name] - expected[name]) <= AGREEMENT_WIDTH * spread(whole[name])).reshape(len(got[name]), -1)
        for name in expected
    ]
    shares: Array = np.concatenate(parts, axis=1).mean(axis=1)
    return shares


def spread(values: Array) -> float:
    """Largest minus smallest value."""
    return float(values.max() - values.min())


def in_order(names: Sequence[str], outputs: Outputs) -> dict[str, Array]:
    """The outputs by `names`, in that order."""
    return {name: outputs[name] for name in names}


def _is_classifier(outputs: Outputs) -> bool:
    first = next(iter(outputs.values()))
    return len(outputs) == 1 and first.ndim == 2


def _at(outputs: Outputs, rows: npt.NDArray[np.intp]) -> dict[str, Array]:
    return {name: values[rows] for name, values in outputs.items()}
