"""Scores of a sample, 0 to 1: right or wrong against a label, or how far it agrees with the source model. Pure.

Without labels a classifier is told by its answers: probabilities. Other answers in rows, and those in the shape of the
input (an autoencoder's), are values: they are scored by the variance of the source's answers that the variant keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from edge_contracts.features import top_classes
from edge_converters.errors import BadInput
from edge_converters.guard import Bound, proportion_bound, share_bound

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
"""Real-valued outputs by name, [n, ...] each."""
Task = Literal["classification", "regression", "other"]

AGREEMENT_WIDTH: Final = 0.05
"""An element agrees within this share of its tensor's range."""

PROBABILITY_ROUNDING: Final = 1e-2
"""A float softmax sums to 1 within this."""


@dataclass(frozen=True)
class Metric:
    """How samples are scored."""

    name: str
    task: Task
    labels: npt.NDArray[np.int64] | None
    bound: Bound


def choose_metric(
    reference: Outputs, labels: npt.NDArray[np.int64] | None, sample: tuple[int, ...], named: int = 0
) -> Metric:
    """Accuracy where there are labels; else agreement with `reference`, the source's answers, as fits their kind.

    `sample` is the shape of an input without its batch; `named` the number of class names: they tell that answers which
    are no probabilities are classes all the same.

    Raises:
        BadInput: labels or names for a model that gives no classes, or not so many.
    """
    first = next(iter(reference.values()))
    rows = len(reference) == 1 and first.ndim == 2
    classifies = rows and (_are_probabilities(first) or (first.shape[1:] != sample and (labels is not None or named)))
    if labels is not None or named:
        _check_classes(reference, labels, named, bool(classifies))
    if labels is not None:
        return Metric("accuracy", "classification", labels, proportion_bound)
    if classifies:
        return Metric("top-class agreement with the source", "classification", None, proportion_bound)
    if rows or (len(reference) == 1 and first.shape[1:] == sample):
        return Metric("variance of the source's answers that is kept (R2)", "regression", None, share_bound)
    return Metric("elements within 5 % of the source's range", "other", None, share_bound)


def scores(metric: Metric, reference: Outputs, outputs: Outputs, rows: npt.NDArray[np.intp]) -> Array:
    """One score for each sample of `rows`."""
    chosen, expected = _at(outputs, rows), _at(reference, rows)
    if metric.labels is not None:
        return np.asarray(classes(chosen) == metric.labels[rows], np.float64)
    return _AGREEMENT[metric.task](reference, expected, chosen)


def same_class(whole: Outputs, expected: Outputs, got: Outputs) -> Array:
    """1 where the top class is the source's."""
    del whole
    return np.asarray(classes(got) == classes(expected), np.float64)


def kept_variance(whole: Outputs, expected: Outputs, got: Outputs) -> Array:
    """1 less a sample's mean squared error over the variance of `whole`, at least 0.

    The variance is each element's about its own mean, pooled: what is the same in every answer counts for nothing. The
    mean over all samples is the coefficient of determination R2 of the source's answers.
    """
    ((name, answers),) = whole.items()
    variance = float(np.var(answers.astype(np.float64), axis=0).mean())
    errors = np.square(got[name].astype(np.float64) - expected[name]).reshape(len(got[name]), -1).mean(axis=1)
    kept: Array = np.maximum(0.0, 1 - errors / variance) if variance else np.asarray(errors == 0, np.float64)
    return kept


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


_AGREEMENT: Final[dict[Task, Callable[[Outputs, Outputs, Outputs], Array]]] = {
    "classification": same_class,
    "regression": kept_variance,
    "other": agreement,
}


def _are_probabilities(rows: Array) -> bool:
    sums = rows.sum(axis=1) if rows.shape[1] > 1 else np.ones(len(rows))
    return bool(rows.min() >= 0 and rows.max() <= 1 and np.abs(sums - 1).max() < PROBABILITY_ROUNDING)


def _check_classes(reference: Outputs, labels: npt.NDArray[np.int64] | None, named: int, classifies: bool) -> None:
    what = "y holds classes" if labels is not None else "there are class names"
    if not classifies:
        shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in reference.items())
        raise BadInput(
            f"{what}, but the model gives none: it answers with {shapes}",
            "Leave y and --labels out: then the variant is judged by how near its answers are to the source's.",
        )
    width = max(next(iter(reference.values())).shape[1], 2)
    if labels is not None and not (labels.min() >= 0 and labels.max() < width):
        raise BadInput(
            f"y holds classes {labels.min()} to {labels.max()}, the model tells {width} apart",
            f"Number the classes from 0 to {width - 1}, in the order of the model's answers.",
        )
    if named and named != width:
        raise BadInput(f"there are {named} class names, the model tells {width} apart", "Give one name for each class.")


def _at(outputs: Outputs, rows: npt.NDArray[np.intp]) -> dict[str, Array]:
    return {name: values[rows] for name, values in outputs.items()}
