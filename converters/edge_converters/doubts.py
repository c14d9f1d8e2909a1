"""Whether a source does better on the labels than guessing would: if not, labels or samples are wrong. Pure."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge_converters.metrics import Metric, Outputs, scores

JUDGED: Final = "accuracy"
DOUBT: Final = 1.645
"""Standard deviations of a one-sided 95 % test."""


def doubt(metric: Metric, reference: Outputs) -> str | None:
    """What is to be said of a source whose accuracy could be that of guessing; None where nothing is."""
    if metric.name != JUDGED or metric.classes is None:
        return None
    answers = next(iter(reference.values()))
    rows = np.arange(len(metric.classes))
    choices = max(int(np.prod(answers.shape[1:])), 2)
    share, chance = float(scores(metric, reference, reference, rows).mean()), 1 / choices
    if share > chance + DOUBT * math.sqrt(chance * (1 - chance) / len(rows)):
        return None
    return (
        f"the source itself is right in {share:.1%}, where guessing among {choices} classes is right in {chance:.1%}: "
        "the labels are in another order, or the samples are not prepared as for training."
    )
