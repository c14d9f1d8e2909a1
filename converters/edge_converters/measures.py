"""Which metric judges a model: by name from one table, or what fits its answers and labels. Refuses what does not fit.

Without labels a classifier is told by its answers: probabilities. Other answers in rows, and those in the shape of the
input (an autoencoder's), are values: they are scored by the variance of the source's answers that the variant keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from edge_converters import detection, scoring
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
    same_class,
    sliced,
)
from edge_converters.own_metrics import OwnMetric, load
from edge_converters.paired import Evidence, Resampled, from_parts
from edge_converters.truth import Truth, are_probabilities

Array = npt.NDArray[Any]
T = TypeVar("T")
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
    if costs is not None and make not in {_default, _accuracy}:
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
        return lambda truth: _top(truth, int(top[1]))
    if asked not in METRICS:
        names = ", ".join(METRICS)
        raise BadInput(f"there is no metric {asked!r}", f"There are {names}, top-2 and so on, and file.py:function.")
    return METRICS[asked]


def _default(truth: Truth) -> Metric:
    if truth.numbers is not None or truth.costs is not None:
        return _accuracy(truth)
    return _agreement(truth) if truth.labels is None else _determination(truth)


def _accuracy(truth: Truth) -> Metric:
    true = truth.classes()
    if truth.costs is None:
        return mean_metric(
            "accuracy",
            "classification",
            lambda _, outputs, rows: np.asarray(classes(at(outputs, rows)) == true[rows], np.float64),
            true,
        )
    costs = truth.costs
    if len(costs) != truth.width:
        raise BadInput(
            f"the costs are for {len(costs)} classes, the model tells {truth.width} apart",
            "Give a row and a column for each class, in the order of the model's answers.",
        )
    return mean_metric(
        "1 - cost of the errors / the largest cost",
        "classification",
        lambda _, outputs, rows: 1 - costs[true[rows], classes(at(outputs, rows))] / costs.max(),
        true,
    )


def _top(truth: Truth, count: int) -> Metric:
    true = truth.classes()
    if count >= truth.width:
        raise BadInput(f"top-{count} of {truth.width} classes is always right", "Ask for fewer.")
    return mean_metric(
        f"top-{count} accuracy",
        "classification",
        lambda _, outputs, rows: scoring.among_top(truth.columns(outputs)[rows], true[rows], count),
        true,
    )


def _f1(truth: Truth) -> Metric:
    true, right = truth.classes(), _accuracy(truth)

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        own, before, after = true[rows], classes(at(reference, rows)), classes(at(outputs, rows))

        def value(found: Array, chosen: Rows) -> float:
            return scoring.macro_f1(scoring.confusion(own[chosen], found[chosen], truth.width))

        counts = np.unique(own, return_counts=True)[1]
        return _resampled(value, before, after, len(rows), scoring.pairs_needed(counts))

    return Metric("macro F1", "classification", right.score, weigh, true)


def _auc(truth: Truth) -> Metric:
    return _area_metric("AUC", truth, truth.classes(), truth.columns)


def _auc_of_reconstruction(truth: Truth) -> Metric:
    inputs, true = truth.own_inputs("auc-reconstruction"), truth.numbers
    if true is None or not np.isin(true, (0, 1)).all():
        raise BadInput(
            "auc-reconstruction needs labels y: 0 for an ordinary sample, 1 for an anomaly",
            "Save them as whole numbers; or ask for rmse-reconstruction, which needs none.",
        )
    return _area_metric(
        "AUC of the reconstruction error",
        truth,
        true,
        lambda outputs: scoring.squared_errors(next(iter(outputs.values())), inputs)[:, None],
    )


def _area_metric(name: str, truth: Truth, true: Array, columns: Callable[[Outputs], Array]) -> Metric:
    """Of two classes the one of class 1; of more, each against the rest, averaged over the classes that occur."""
    task: Task = "classification" if truth.classifies else "other"

    def areas(outputs: Outputs, rows: Rows) -> dict[int, scoring.Area]:
        told, own = columns(outputs)[rows], true[rows]
        occur = np.unique(own)
        if len(occur) < 2:
            raise BadInput(
                f"an AUC needs samples of two classes; {len(rows)} of the evaluation data hold only class {occur[0]}",
                "Give more samples of the other.",
            )
        if told.shape[1] <= 2:
            return {1: scoring.area(told[:, -1] - told[:, 0] * (told.shape[1] - 1), own == 1)}
        return {int(each): scoring.area(told[:, each], own == each) for each in occur}

    def score(_: Outputs, outputs: Outputs, rows: Rows) -> Array:
        found = areas(outputs, rows)
        if len(found) == 1:
            return found[1].placements
        place = np.searchsorted([*found], true[rows])
        return np.stack([each.placements for each in found.values()])[place, np.arange(len(rows))]

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        own = true[rows]
        before, after = areas(reference, rows), areas(outputs, rows)
        parts = np.mean([before[each].parts(own == each) - after[each].parts(own == each) for each in before], axis=0)
        smaller = np.array([min((own == each).sum(), (own != each).sum()) for each in before])
        equal = np.mean([before[each].placements == after[each].placements for each in before]) > 0.5
        source, variant = (float(np.mean([each.value for each in found.values()])) for found in (before, after))
        return from_parts(source, variant, parts, scoring.pairs_needed(smaller), bool(equal))

    return Metric(name, task, score, weigh, true)


def _determination(truth: Truth) -> Metric:
    return mean_metric("R2", "regression", _kept(truth.values("r2"), "r2"), elementwise=True)


def _rmse(truth: Truth) -> Metric:
    return _error_metric("RMSE", truth.values("rmse"))


def _rmse_of_reconstruction(truth: Truth) -> Metric:
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

        return _resampled(value, found(reference, rows), found(outputs, rows), len(rows), len(rows))

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
    sampled = _accuracy(truth) if truth.classifies and truth.numbers is not None else _agreement(truth)

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        def value(found: Outputs, chosen: Rows) -> float:
            return float(called(found, rows[chosen]))

        return _resampled(value, reference, outputs, len(rows), len(rows))

    return Metric(shown, task, sampled.score, weigh, truth.numbers)


METRICS: Final[dict[str, Maker]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "auc": _auc,
    "auc-reconstruction": _auc_of_reconstruction,
    "r2": _determination,
    "rmse": _rmse,
    "rmse-reconstruction": _rmse_of_reconstruction,
    "map50": _precision,
    "agreement": _agreement,
}


def _resampled(value: Callable[[T, Rows], float], before: T, after: T, n: int, effective: float) -> Resampled:
    whole = np.arange(n)
    source, variant = value(before, whole), value(after, whole)
    return Resampled(
        source, variant, source - variant, n, lambda chosen: value(before, chosen) - value(after, chosen), effective
    )
