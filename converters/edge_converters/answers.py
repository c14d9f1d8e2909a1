"""What a classifier answered, counted: what later answers are compared with. Pure."""

from __future__ import annotations

from typing import Final

from edge_contracts.features import confidence_counts, top_classes
from edge_contracts.manifest import Answers
from edge_converters.guard import Confusion
from edge_converters.metrics import Metric, Outputs, Rows, at, classes
from edge_converters.scoring import confusion

MOST_CLASSES: Final = 100
"""Of more, nobody reads a table."""


def count_answers(metric: Metric, outputs: Outputs) -> Answers | None:
    """Of all samples of `outputs`; None if the model classifies nothing."""
    if metric.task != "classification":
        return None
    scores = next(iter(outputs.values()))
    found, confidence = top_classes(scores)
    count = max(scores.reshape(len(scores), -1).shape[1], 2)
    classes = tuple(int((found == label).sum()) for label in range(count))
    return Answers(classes=classes, confidence=confidence_counts(confidence))


def count_confusions(metric: Metric, reference: Outputs, outputs: Outputs, rows: Rows) -> Confusion | None:
    """Of the samples `rows`, by the source and by the variant; None if the model tells no classes, or too many."""
    if metric.task != "classification" or metric.classes is None:
        return None
    count = max(next(iter(reference.values())).shape[1], 2)
    if count > MOST_CLASSES:
        return None
    before, after = (
        tuple(tuple(int(value) for value in row) for row in confusion(metric.classes[rows], found, count))
        for found in (classes(at(reference, rows)), classes(at(outputs, rows)))
    )
    return Confusion(metric.names or tuple(str(each) for each in range(count)), before, after)
