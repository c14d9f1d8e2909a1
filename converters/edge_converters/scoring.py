"""Values of answers against truth, from plain arrays: classes, rankings, real values. Pure.

`told` are scores of classes, [n, classes]; `true` whole-number classes, [n].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def among_top(told: Array, true: Array, count: int) -> Array:
    """1 where fewer than `count` classes score higher than the true one, or alike and stand before it, [n]."""
    own = told[np.arange(len(told)), true][:, None]
    before = (told > own) | ((told == own) & (np.arange(told.shape[1]) < true[:, None]))
    return np.asarray(before.sum(axis=1) < count, np.float64)


def confusion(true: Array, found: Array, count: int) -> Array:
    """How often each class was found for each true one, [count, count]; rows are the true ones."""
    table: Array = np.bincount(true * count + found, minlength=count * count).reshape(count, count)
    return table


def macro_f1(table: Array) -> float:
    """The mean F1 of the classes that occur in truth, from their confusion table."""
    right, occur, found = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    present = occur > 0
    return float((2 * right[present] / (occur[present] + found[present])).mean())


def pairs_needed(counts: Array) -> float:
    """As many independent pairs carry a mean over classes with `counts` samples each: what a small class leaves."""
    return float(len(counts) ** 2 / (1 / counts).sum())


@dataclass(frozen=True)
class Area:
    """The area under a ROC curve. `placements` [n]: for each sample, the share of the other class ranked right."""

    value: float
    placements: Array

    def parts(self, true: Array) -> Array:
        """Each sample's part in the value, [n], with the value as their mean (DeLong's structural components)."""
        positives, n = int(true.sum()), len(true)
        weight = np.where(true == 1, n / positives, n / (n - positives))
        parts: Array = self.value + (self.placements - self.value) * weight
        return parts


def area(scores: Array, true: Array) -> Area:
    """Of `scores` [n] for `true` 1 against 0, both of which occur; ties count half.

    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44, 1988, 837-845; by ranks as X. Sun, W. Xu, IEEE
    Signal Processing Letters 21, 2014, 1389-1393.
    """
    positive = true == 1
    ranks = _ranks(scores)
    placements = np.empty(len(scores))
    for own in (positive, ~positive):
        below = (ranks[own] - _ranks(scores[own])) / (len(scores) - own.sum())
        placements[own] = below if own is positive else 1 - below
    return Area(float(placements[positive].mean()), placements)


def _ranks(values: Array) -> Array:
    """From 1, the mean rank for ties."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks


def squared_errors(answers: Array, truth: Array) -> Array:
    """The mean squared error of each sample, [n]."""
    wide = np.asarray(answers, np.float64).reshape(len(answers), -1)
    errors: Array = np.square(wide - np.asarray(truth, np.float64).reshape(len(answers), -1)).mean(axis=1)
    return errors


def variance(values: Array) -> float:
    """Each element's about its own mean over the samples, pooled: what all samples share counts for nothing."""
    return float(np.var(np.asarray(values, np.float64), axis=0).mean())
