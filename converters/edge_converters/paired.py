"""What paired samples say of a drop: its upper bound, and how doubtful it is that the drop is over a limit. Pure.

Three kinds of evidence, each with the bound that fits it; all bounds are one-sided, 95 %. SciPy is imported where it is
called: that takes longer than importing NumPy, and answers that are right or wrong need none of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]
Counts = float | Array

CONFIDENCE: Final = 0.95
Z: Final = 1.6448536269514722
"""The normal distribution's quantile at 95 %."""
MOST_EXACT: Final = 500
"""Up to as many pairs every outcome is counted; above, the normal distribution is as good."""
RESAMPLES: Final = 2000
MOST_CORRECTED: Final = 2000
"""BCa's correction leaves out each sample once; above as many samples it moves nothing and takes long."""


class Evidence(Protocol):
    """Paired evidence. With an `n` other than its own it answers as if n samples had shown the same shares."""

    @property
    def source(self) -> float:
        """The source's value."""

    @property
    def variant(self) -> float:
        """The variant's value."""

    @property
    def drop(self) -> float:
        """What the variant lost, as it was seen."""

    @property
    def n(self) -> int:
        """Samples."""

    def upper(self, n: int) -> float:
        """The bound above which the drop does not lie."""

    def doubt(self, limit: float, n: int) -> float:
        """The p-value of `the drop is at most limit`: small if it is clearly over."""


@dataclass(frozen=True)
class Proportions:
    """Samples that are right or wrong: `lost` only the source has right, `won` only the variant.

    Bound: T. Tango's score interval (Statistics in Medicine 17, 1998, 891-908), which stays honest when no pair
    differs. Doubt: the probability of all outcomes at the limit whose score is as high, with the free parameter that is
    likeliest at the limit (C. J. Lloyd, Australian & New Zealand Journal of Statistics 50, 2008, 329-345).
    """

    source: float
    variant: float
    lost: int
    won: int
    n: int

    @property
    def drop(self) -> float:
        """Net loss, as a share."""
        return (self.lost - self.won) / self.n

    def upper(self, n: int) -> float:
        """By ever finer grids, for Tango's limit has no closed form."""
        lost, won = self._at(n)
        low, high = (lost - won) / n, 1.0
        for _ in range(5):
            grid = np.linspace(low, high, 101)
            first = max(int(np.argmax(tango_score(lost, won, n, grid) <= -Z)), 1)
            low, high = float(grid[first - 1]), float(grid[first])
        return high

    def doubt(self, limit: float, n: int) -> float:
        """Exact up to 500 pairs, then from the score."""
        lost, won = self._at(n)
        limit = min(limit, 1.0)
        if n > MOST_EXACT:
            return _below(-float(tango_score(lost, won, n, limit)))
        return _tail(lost, won, n, limit, float(_restricted(lost, won, n, limit)))

    def doubt_if_won(self, limit: float, share: float) -> float:
        """The same, where it is known from other samples which share of pairs the variant wins, or more if it did."""
        if self.n > MOST_EXACT:
            return self.doubt(limit, self.n)
        return _tail(self.lost, self.won, self.n, min(limit, 1.0), max(share, self.won / self.n))

    def _at(self, n: int) -> tuple[float, float]:
        return self.lost * n / self.n, self.won * n / self.n


@dataclass(frozen=True)
class Means:
    """A mean over samples whose parts in the drop have the standard deviation `spread`: Student's t.

    `effective` is the number of independent pairs that the mean's error answers to: error = spread / sqrt(effective).
    `sparse`: most pairs do not differ at all, so that the spread seen says little of losses not seen. Then one more
    pair is counted, in which all was lost (for the doubt: won); with none seen that is 2.6 / n, as Tango's 2.7 / n.
    """

    source: float
    variant: float
    drop: float
    spread: float
    n: int
    effective: float
    sparse: bool = False

    def upper(self, n: int) -> float:
        """The t bound."""
        from scipy.special import stdtrit

        mean, error, freedom = self._with(1.0, n)
        return float(mean + stdtrit(freedom, CONFIDENCE) * error)

    def doubt(self, limit: float, n: int) -> float:
        """The t test's."""
        from scipy.special import stdtr

        mean, error, freedom = self._with(-1.0, n)
        if error == 0:
            return float(mean <= limit)
        return float(stdtr(freedom, (limit - mean) / error))

    def _with(self, unseen: float, n: int) -> tuple[float, float, float]:
        pairs = self.effective * n / self.n
        mean, square = self.drop, self.spread**2 + self.drop**2
        if self.sparse:
            mean, square = (pairs * mean + unseen) / (pairs + 1), (pairs * square + unseen**2) / (pairs + 1)
            pairs += 1
        return mean, math.sqrt(max(square - mean**2, 0.0) / pairs), max(pairs - 1, 1.0)


@dataclass(frozen=True)
class Resampled:
    """A value of a whole set, such as F1: a bootstrap over pairs, BCa (B. Efron, R. Tibshirani, "An Introduction to
    the Bootstrap", 1993, chapter 14), with a fixed seed. At another n its width is scaled by sqrt(n): approximate.

    `lost(rows)` is the drop over resampled rows 0..n-1. What no sample showed no resample shows: where `effective` is
    given, the width that Tango's bound has without any difference, for as many pairs, is added in squares.
    """

    source: float
    variant: float
    drop: float
    n: int
    lost: Callable[[Rows], float]
    effective: float | None = None

    def upper(self, n: int) -> float:
        """The bootstrap's, widened by what was not seen."""
        width, _ = self._widths
        return self.drop + math.hypot(max(width, 0.0) * math.sqrt(self.n / n), self._unseen(n))

    def doubt(self, limit: float, n: int) -> float:
        """From the bootstrap's standard error."""
        _, error = self._widths
        error = math.hypot(error * math.sqrt(self.n / n), self._unseen(n) / Z)
        return _below((limit - self.drop) / error) if error else float(self.drop <= limit)

    def _unseen(self, n: int) -> float:
        return Z**2 / (self.effective * n / self.n + Z**2) if self.effective else 0.0

    @cached_property
    def _widths(self) -> tuple[float, float]:
        """From the drop to its bound, and its standard error."""
        from scipy.stats import bootstrap

        once = partial(
            bootstrap,
            (np.arange(self.n),),
            self.lost,
            vectorized=False,
            confidence_level=CONFIDENCE,
            alternative="less",
            rng=np.random.default_rng(0),
        )
        found = once(n_resamples=RESAMPLES, method="percentile")
        error, high = float(found.standard_error), float(found.confidence_interval.high)
        if error > 0 and self.n <= MOST_CORRECTED:
            corrected = once(n_resamples=0, method="BCa", bootstrap_result=found)
            high = float(corrected.confidence_interval.high)
        return high - self.drop, error


def from_scores(source: Array, variant: Array, sparse: bool = True) -> Proportions | Means:
    """From one score for each sample, [n] each: proportions if all are 0 or 1, else means.

    `sparse` says that a pair without a difference tells nothing of the next one. Not so for agreement over thousands of
    elements of an answer: then scores are means even if all are 1.
    """
    before, after = np.asarray(source, np.float64), np.asarray(variant, np.float64)
    difference, n = before - after, len(before)
    if sparse and np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all():
        lost, won = int((difference > 0).sum()), int((difference < 0).sum())
        return Proportions(float(before.mean()), float(after.mean()), lost, won, n)
    return Means(
        float(before.mean()),
        float(after.mean()),
        float(difference.mean()),
        float(difference.std(ddof=1)) if n > 1 else 0.0,
        n,
        n,
        sparse and _mostly_equal(difference),
    )


def from_parts(source: float, variant: float, parts: Array, effective: float, equal: bool) -> Means:
    """From each sample's part in the drop, [n], whose mean is the drop: a statistic made linear, such as an AUC.

    `effective` as in `Means`, for what is not seen; `equal`: most pairs do not differ.
    """
    n = len(parts)
    spread = float(parts.std(ddof=1)) * math.sqrt(effective / n) if n > 1 else 0.0
    return Means(source, variant, source - variant, spread, n, effective, equal)


def _tail(lost: float, won: float, n: int, limit: float, gain: float) -> float:
    """How likely outcomes are whose score is at least this one's, where `gain` are won and `gain + limit` lost."""
    gain = min(gain, (1 - limit) / 2)
    losses, wins = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    seen = tango_score(lost, won, n, limit)
    chosen = (losses + wins <= n) & (tango_score(losses, wins, n, limit) >= seen - 1e-9)
    losses, wins = losses[chosen], wins[chosen]
    rest = n - losses - wins
    factorial = np.array([math.lgamma(count + 1) for count in range(n + 1)])
    ways = factorial[n] - factorial[losses] - factorial[wins] - factorial[rest]
    likely = _times_log(losses, gain + limit) + _times_log(wins, gain) + _times_log(rest, 1 - 2 * gain - limit)
    return float(min(np.exp(ways + likely).sum(), 1.0))


def _times_log(counts: Array, share: float) -> Array:
    """`counts` x log(`share`); what has no share and does not occur adds nothing."""
    return counts * math.log(share) if share > 0 else np.where(counts == 0, 0.0, -np.inf)


def _below(deviations: float) -> float:
    """The normal distribution's probability of less than so many standard deviations above its middle."""
    return math.erfc(-deviations / math.sqrt(2)) / 2


def tango_score(lost: Counts, won: Counts, n: int, difference: Counts) -> Array:
    """How far the pairs lie above `difference`, in standard errors under it."""
    gain = _restricted(lost, won, n, difference)
    variance = n * (2 * gain + difference * (1 - difference))
    above = np.asarray(lost - won - n * difference, np.float64)
    score: Array = np.where(variance > 0, above / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
    return score


def _restricted(lost: Counts, won: Counts, n: int, difference: Counts) -> Array:
    """The likeliest share of pairs that the variant won, if the shares lost and won differ by `difference`."""
    a = 2 * n
    b = -lost - won + (2 * n - lost + won) * difference
    c = -won * difference * (1 - difference)
    gain: Array = np.maximum((np.sqrt(np.maximum(b * b - 4 * a * c, 0.0)) - b) / (2 * a), 0.0)
    return gain


def _mostly_equal(differences: Array) -> bool:
    return bool((differences == 0).mean() > 0.5)
