"""What a classifier answered, counted: what later answers are compared with. Pure."""

from __future__ import annotations

from edge_contracts.features import confidence_counts, top_classes
from edge_contracts.manifest import Answers
from edge_converters.metrics import Metric, Outputs


def count_answers(metric: Metric, outputs: Outputs) -> Answers | None:
    """Of all samples of `outputs`; None if the model classifies nothing."""
    if metric.task != "classification":
        return None
    scores = next(iter(outputs.values()))
    found, confidence = top_classes(scores)
    count = max(scores.reshape(len(scores), -1).shape[1], 2)
    classes = tuple(int((found == label).sum()) for label in range(count))
    return Answers(classes=classes, confidence=confidence_counts(confidence))
