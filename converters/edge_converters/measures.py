"""Which metric judges a model: by name from one table, or what fits its answers and labels. Refuses what does not fit.

Without labels a classifier is told by its answers: probabilities. Other answers in rows, and those in the shape of the
input (an autoencoder's), are values: they are scored by the variance of the source's answers that the variant keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters import detection
from edge_converters.class_metrics import accuracy, among_top, auc, auc_of_reconstruction, f1
from edge_converters.costs import Costs
from edge_converters.datasets import Samples
from edge_converters.detection import Found
from edge_converters.errors import BadInput
from edge_converters.metrics import (
    Metric,
    Outputs,
    Rows,
    Task,
    at,
    classes,
    kept_variance,
    mean_metric,
    near_elements,
    resampled,
    same_class,
    sliced,
)
from edge_converters.own_metrics import OwnMetric, load
from edge_converters.paired import Evidence
from edge_converters.truth import Truth, are_probabilities
from edge_converters.value_metrics import determination, rmse, rmse_of_reconstruction

Array = npt.NDArray[Any]
_OWN: Final = re.compile(r".+\.py:\w+")

Maker = Callable[[Truth], Metric]


@dataclass(frozen=True)
class Asked:
    """How the user wants a model to be judged: by a metric's name or a function of their own, by costs, with names."""

    metric: str | Maker | None = None
    costs: Costs | None = None
    names: tuple[str, ...] = ()
    """Of the classes."""


def ask(metric: str | None = None, costs: Costs | None = None, names: Sequence[str] = ()) -> Asked:
    """What can be asked for, before anything runs.

    Raises:
        BadInput: there is no such metric, or the user's file cannot be read.
    """
    if metric is None:
        return Asked(None, costs, tuple(names))
    maker = find(metric)
    return Asked(maker if _OWN.fullmatch(metric) else metric, costs, tuple(names))


def metric_for(asked: Asked, reference: Outputs, samples: Samples, inputs: Array) -> Metric:
    """The metric for these samples, with a slice for each class and group; `inputs` as the model takes them.

    Raises:
        BadInput: as `choose_metric`.
    """
    metric = choose_metric(
        reference,
        samples.y,
        tuple(samples.x.shape[1:]),
        len(asked.names),
        asked=asked.metric,
        costs=asked.costs,
        inputs=inputs,
    )
    return sliced(metric, samples.slices, asked.names)


def choose_metric(
    reference: Outputs,
    labels: Array | None,
    sample: tuple[int, ...],
    named: int = 0,
    *,
    asked: str | Maker | None = None,
    costs: Costs | None = None,
    inputs: Array | None = None,
) -> Metric:
    """The metric `asked` for (see `METRICS`, or `path/to/file.py:function`); by itself what fits.

    That is accuracy where labels are classes, R2 where they are real values, and without labels agreement with
    `reference`, the source's answers, as fits their kind. `sample` is the shape of an input without its batch; `named`
    the number of class names: they tell that answers which are no probabilities are classes all the same.

    Raises:
        BadInput: no such metric, or labels, names or costs that do not fit the model.
    """
    make = find(asked) if isinstance(asked, str) else asked or _default
    first = next(iter(reference.values()))
    rows = len(reference) == 1 and first.ndim == 2
    same = len(reference) == 1 and first.shape[1:] == sample
    whole = labels is not None and labels.dtype.kind == "i"
    classifies = rows and (are_probabilities(first) or (not same and bool(whole or named)))
    truth = Truth(reference, labels, inputs, costs, classifies, same)
    if named:
        truth.check_names(named)
    if costs is not None and make not in {_default, accuracy}:
        raise BadInput(f"costs weigh right and wrong classes, {asked} does not know them", "Leave --costs out.")
    return make(truth)


def find(asked: str) -> Maker:
    """The maker of a metric by its name.

    Raises:
        BadInput: there is none, or the user's file cannot be read.
    """
    if _OWN.fullmatch(asked):
        own = load(asked)
        return lambda truth: _own(truth, own, asked)
    top = re.fullmatch(r"top-([1-9]\d*)", asked)
    if top:
        return lambda truth: among_top(truth, int(top[1]))
    if asked not in METRICS:
        names = ", ".join(METRICS)
        raise BadInput(f"there is no metric {asked!r}", f"There are {names}, top-2 and so on, and file.py:function.")
    return METRICS[asked]


def _default(truth: Truth) -> Metric:
    if truth.numbers is not None or truth.costs is not None:
        return accuracy(truth)
    return _agreement(truth) if truth.labels is None else determination(truth)


def _precision(truth: Truth) -> Metric:
    """Each picture's finds are made once; resampling pictures only counts them anew."""
    true, boxes, told = truth.objects()

    def found(outputs: Outputs, rows: Rows) -> list[Found]:
        return [detection.find(outputs[told][row], outputs[boxes][row], true[row]) for row in rows]

    def score(_: Outputs, outputs: Outputs, rows: Rows) -> Array:
        return np.array([detection.mean_average_precision([each]) for each in found(outputs, rows)])

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        def value(pictures: list[Found], chosen: Rows) -> float:
            return detection.mean_average_precision([pictures[place] for place in chosen])

        return resampled(value, found(reference, rows), found(outputs, rows), len(rows), len(rows))

    return Metric("mean average precision at IoU 0.5", "other", score, weigh)


def _agreement(truth: Truth) -> Metric:
    if truth.classifies:
        name = "top-class agreement with the source"
        return mean_metric(name, "classification", same_class, classes(truth.reference))
    if len(truth.reference) == 1 and (truth.first.ndim == 2 or truth.autoencodes):
        name = "variance of the source's answers that is kept (R2)"
        return mean_metric(name, "regression", kept_variance, elementwise=True)
    return mean_metric("elements within 5 % of the source's range", "other", near_elements, elementwise=True)


def _own(truth: Truth, function: OwnMetric, name: str) -> Metric:
    labels = truth.labels
    shown = f"{name}"[-64:]
    task: Task = "classification" if truth.classifies else "other"

    def called(outputs: Outputs, rows: Rows) -> Array:
        return function(at(outputs, rows), None if labels is None else labels[rows])

    if called(truth.reference, np.arange(len(truth.first))).ndim == 1:
        return mean_metric(shown, task, lambda _, outputs, rows: called(outputs, rows), truth.numbers)
    sampled = accuracy(truth) if truth.classifies and truth.numbers is not None else _agreement(truth)

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        def value(found: Outputs, chosen: Rows) -> float:
            return float(called(found, rows[chosen]))

        return resampled(value, reference, outputs, len(rows), len(rows))

    return Metric(shown, task, sampled.score, weigh, truth.numbers)


METRICS: Final[dict[str, Maker]] = {
    "accuracy": accuracy,
    "f1": f1,
    "auc": auc,
    "auc-reconstruction": auc_of_reconstruction,
    "r2": determination,
    "rmse": rmse,
    "rmse-reconstruction": rmse_of_reconstruction,
    "map50": _precision,
    "agreement": _agreement,
}
