"""Metrics: how answers are scored, each sample for itself or all as a set, and how far two models' answers agree. Pure.

Which one judges a model is chosen in `measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from edge_contracts.features import top_classes
from edge_converters.paired import Evidence, Resampled, from_scores
from edge_converters.slices import Memberships, memberships

Array = npt.NDArray[Any]
T = TypeVar("T")
Rows = npt.NDArray[np.intp]
Outputs = Mapping[str, Array]
"""Real-valued outputs by name, [n, ...] each."""
Task = Literal["classification", "regression", "other"]
Score = Callable[[Outputs, Outputs, Rows], Array]
"""From the source's answers, the answers to score and the rows: one score for each row, more is better."""
Weigh = Callable[[Outputs, Outputs, Rows], Evidence]
"""From the source's answers, the variant's and the rows: the evidence of a drop."""

AGREEMENT_WIDTH: Final = 0.05
"""An element agrees within this share of its tensor's range."""


@dataclass(frozen=True)
class Metric:
    """How a model is judged: all samples by `weigh`, a slice of them by `score`."""

    name: str
    task: Task
    score: Score
    weigh: Weigh
    classes: Array | None = None
    """The class of each sample: the true one, or where there are no labels the source's."""
    names: tuple[str, ...] = ()
    """Of the classes; empty: their numbers."""
    members: Memberships = field(default_factory=dict)
    """Slices, by name."""
    error: bool = False
    """The value is an error, and a drop is its rise as a share of the source's; else a share, more is better."""


def mean_metric(
    name: str, task: Task, score: Score, classes: Array | None = None, *, elementwise: bool = False
) -> Metric:
    """The mean of the samples' scores. `elementwise`: a score is itself a mean over many elements of an answer."""

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        before, after = (score(reference, each, rows) for each in (reference, outputs))
        return from_scores(before, after, sparse=not elementwise)

    return Metric(name, task, score, weigh, classes)


def sliced(metric: Metric, groups: Mapping[str, Array], names: Sequence[str] = ()) -> Metric:
    """The metric with a slice for each class, by its name, and for each value of `groups`, [n] each."""
    if metric.classes is not None:
        own = np.array(names)[metric.classes] if names else metric.classes
        groups = {"class": own, **groups}
    return replace(metric, names=tuple(names), members=memberships(groups))


def scores(metric: Metric, reference: Outputs, outputs: Outputs, rows: Rows) -> Array:
    """One score for each sample of `rows`."""
    return metric.score(reference, outputs, rows)


def same_class(reference: Outputs, outputs: Outputs, rows: Rows) -> Array:
    """1 where the top class is the source's."""
    return np.asarray(classes(at(outputs, rows)) == classes(at(reference, rows)), np.float64)


def kept_variance(reference: Outputs, outputs: Outputs, rows: Rows) -> Array:
    """1 less a sample's mean squared error over the variance of the source's answers, at least 0.

    The variance is each element's about its own mean, pooled: what is the same in every answer counts for nothing. The
    mean over all samples is the coefficient of determination R2 of the source's answers.
    """
    ((name, answers),) = reference.items()
    variance = float(np.var(answers.astype(np.float64), axis=0).mean())
    errors = np.square(outputs[name][rows].astype(np.float64) - answers[rows]).reshape(len(rows), -1).mean(axis=1)
    kept: Array = np.maximum(0.0, 1 - errors / variance) if variance else np.asarray(errors == 0, np.float64)
    return kept


def near_elements(reference: Outputs, outputs: Outputs, rows: Rows) -> Array:
    """The share of elements of a sample that lie within 5 % of their tensor's range."""
    parts = [
        (np.abs(outputs[name][rows] - whole[rows]) <= AGREEMENT_WIDTH * spread(whole)).reshape(len(rows), -1)
        for name, whole in reference.items()
    ]
    shares: Array = np.concatenate(parts, axis=1).mean(axis=1)
    return shares


def classes(outputs: Outputs) -> Array:
    """The top class of the first output."""
    found: Array = top_classes(next(iter(outputs.values())))[0]
    return found


def spread(values: Array) -> float:
    """Largest minus smallest value."""
    return float(values.max() - values.min())


def in_order(names: Sequence[str], outputs: Outputs) -> dict[str, Array]:
    """The outputs by `names`, in that order."""
    return {name: outputs[name] for name in names}


def at(outputs: Outputs, rows: Rows) -> dict[str, Array]:
    """The answers to the samples of `rows`."""
    return {name: values[rows] for name, values in outputs.items()}


def resampled(value: Callable[[T, Rows], float], before: T, after: T, n: int, effective: float) -> Resampled:
    """Evidence of a value of all chosen samples together, told by `value`, where `effective` of `n` count."""
    whole = np.arange(n)
    source, variant = value(before, whole), value(after, whole)
    return Resampled(
        source, variant, source - variant, n, lambda chosen: value(before, chosen) - value(after, chosen), effective
    )
