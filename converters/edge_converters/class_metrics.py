"""Metrics of answers that tell classes apart, or score them: right or wrong, costs, top-k, F1, areas under curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_converters import scoring
from edge_converters.errors import BadInput
from edge_converters.metrics import Metric, Outputs, Rows, Task, at, classes, mean_metric, resampled
from edge_converters.paired import Evidence, from_parts
from edge_converters.truth import Truth

Array = npt.NDArray[Any]


def accuracy(truth: Truth) -> Metric:
    """The share that is right, or by costs what errors of a kind leave of it."""
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


def among_top(truth: Truth, count: int) -> Metric:
    """The true class is among the `count` best."""
    true = truth.classes()
    if count >= truth.width:
        raise BadInput(f"top-{count} of {truth.width} classes is always right", "Ask for fewer.")
    return mean_metric(
        f"top-{count} accuracy",
        "classification",
        lambda _, outputs, rows: scoring.among_top(truth.columns(outputs)[rows], true[rows], count),
        true,
    )


def f1(truth: Truth) -> Metric:
    """Macro F1: each class counts the same."""
    true, right = truth.classes(), accuracy(truth)

    def weigh(reference: Outputs, outputs: Outputs, rows: Rows) -> Evidence:
        own, before, after = true[rows], classes(at(reference, rows)), classes(at(outputs, rows))

        def value(found: Array, chosen: Rows) -> float:
            return scoring.macro_f1(scoring.confusion(own[chosen], found[chosen], truth.width))

        counts = np.unique(own, return_counts=True)[1]
        return resampled(value, before, after, len(rows), scoring.pairs_needed(counts))

    return Metric("macro F1", "classification", right.score, weigh, true)


def auc(truth: Truth) -> Metric:
    """The area under the receiver's curve of the answers."""
    return _area_metric("AUC", truth, truth.classes(), truth.columns)


def auc_of_reconstruction(truth: Truth) -> Metric:
    """The same of an autoencoder's error, as a score of anomaly."""
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
