"""The guard: whether a variant lost too much, decided on paired samples. Pure.

Proportions (right or wrong, agrees or not) get Tango's score bound for the paired difference (T. Tango, Statistics in
Medicine 17, 1998, 891-908), which stays honest when no pair differs; shares between 0 and 1 get a one-sided t bound,
its quantile by the first term of Abramowitz, Stegun 26.7.5 (1 % small at 10 samples, 0.1 % at 30).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[Any]

Bound = Callable[[Scores, Scores, int | None], float]
"""The bound from paired scores, or as it would be if n samples had shown the same shares."""

Z: Final = 1.6448536269514722
"""One-sided 95 %."""
MOST_NEEDED: Final = 10_000_000
"""What more samples than this would settle is not settled by samples."""


class Verdict(StrEnum):
    """What became of a candidate or a profile, from good to bad."""

    PASS = "pass"  # noqa: S105 - a verdict
    UNDECIDABLE = "undecidable"
    """Too few samples to tell."""
    FAIL = "fail"
    """A candidate lost too much, or broke a hard limit of the profile."""
    UNREACHABLE = "unreachable"
    """No scheme of the profile keeps the accuracy."""


@dataclass(frozen=True)
class Guard:
    """Pass: drop at most `max_drop`, and its upper bound at most `max_drop + slack`. Shares: 0.01 is one point."""

    max_drop: float = 0.01
    slack: float = 0.02


@dataclass(frozen=True)
class Judgement:
    """A decision with its evidence.

    `needed` is about the number of samples that would settle an undecidable one; None if no number would.
    """

    verdict: Verdict
    source: float
    variant: float
    drop: float
    upper_bound: float
    n: int
    needed: int | None = None


def judge(source: Scores, variant: Scores, guard: Guard, bound: Bound) -> Judgement:
    """Compare the scores (0..1) of the same samples."""
    drop, n = float(np.mean(source) - np.mean(variant)), len(source)
    upper = bound(source, variant, None)
    verdict, needed = Verdict.PASS, None
    if drop > guard.max_drop:
        verdict = Verdict.FAIL
    elif upper > guard.max_drop + guard.slack:
        verdict, needed = Verdict.UNDECIDABLE, _needed(source, variant, guard, bound)
    return Judgement(verdict, float(np.mean(source)), float(np.mean(variant)), drop, upper, n, needed)


def proportion_bound(source: Scores, variant: Scores, n: int | None = None) -> float:
    """The one-sided 95 % upper bound of mean(source - variant) where each score is 0 or 1: Tango's, by bisection."""
    difference = np.asarray(source, np.float64) - np.asarray(variant, np.float64)
    n = n or len(difference)
    times = n / len(difference)
    lost, won = float((difference > 0).sum()) * times, float((difference < 0).sum()) * times
    low, high = (lost - won) / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(lost, won, n, middle) > -Z else (low, middle)
    return high


def share_bound(source: Scores, variant: Scores, n: int | None = None) -> float:
    """The one-sided 95 % upper bound of mean(source - variant) where scores are shares: Student's t."""
    difference = np.asarray(source, np.float64) - np.asarray(variant, np.float64)
    n = n or len(difference)
    quantile = Z + (Z**3 + Z) / (4 * (n - 1))
    return float(difference.mean() + quantile * difference.std(ddof=1) / math.sqrt(n))


def _score(lost: float, won: float, n: int, difference: float) -> float:
    a = 2 * n
    b = -lost - won + (2 * n - lost + won) * difference
    c = -won * difference * (1 - difference)
    won_share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * won_share + difference * (1 - difference))
    return (lost - won - n * difference) / math.sqrt(variance) if variance > 0 else 0.0


def _needed(source: Scores, variant: Scores, guard: Guard, bound: Bound) -> int | None:
    """The least number at which the bound would hold if the shares stayed as they are, by bisection."""
    low, high = len(source), MOST_NEEDED
    limit = guard.max_drop + guard.slack
    if bound(source, variant, high) > limit:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(source, variant, middle) <= limit else (middle, high)
    return high
