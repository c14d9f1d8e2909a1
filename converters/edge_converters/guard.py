"""The guard: whether a variant lost too much, decided on paired evidence, over all samples and in each slice. Pure.

The rule and its simulated error rates: docs/decisions, "A slice fails a variant by evidence".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge_converters.paired import Evidence

DOUBT: Final = 0.05
"""What is less likely than this is excluded."""
SLICE_TIMES: Final = 3
"""A slice may lose as many times the drop that all samples together may."""
MOST_NEEDED: Final = 10_000_000
"""What more samples than this would settle is not settled by samples."""


class Verdict(StrEnum):
    """What became of a candidate, a slice or a profile, from good to bad."""

    PASS = "pass"  # noqa: S105 - a verdict
    UNDECIDABLE = "undecidable"
    """Too few samples to tell."""
    FAIL = "fail"
    """A candidate lost too much, over all or in a slice, or broke a hard limit of the profile."""
    UNREACHABLE = "unreachable"
    """No scheme of the profile keeps the accuracy."""


@dataclass(frozen=True)
class Guard:
    """Pass: drop at most `max_drop`, its upper bound at most `max_drop + slack`, and no slice failed.

    Shares: 0.01 is one point. A slice may lose `slice_max_drop`; None: three times `max_drop`.
    """

    max_drop: float = 0.01
    slack: float = 0.02
    slice_max_drop: float | None = None

    @property
    def slice_limit(self) -> float:
        """What a slice may lose."""
        return min(SLICE_TIMES * self.max_drop if self.slice_max_drop is None else self.slice_max_drop, 1.0)


@dataclass(frozen=True)
class SliceJudgement:
    """A class, sensor or group by itself. `undecidable`: too few samples to tell; that stops nothing."""

    name: str
    n: int
    source: float
    variant: float
    drop: float
    upper_bound: float
    verdict: Verdict


@dataclass(frozen=True)
class Confusion:
    """How often each class was told for each true one (without labels: the source's class): rows are the true ones."""

    classes: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]


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
    slices: tuple[SliceJudgement, ...] = ()
    confusion: Confusion | None = None

    @property
    def failed_slices(self) -> tuple[SliceJudgement, ...]:
        """Those that lost too much, the worst first."""
        failed = (each for each in self.slices if each.verdict is Verdict.FAIL)
        return tuple(sorted(failed, key=lambda each: -each.drop))

    @property
    def worst_drop(self) -> float:
        """The drop, or that of a slice that failed if it is larger."""
        return max([self.drop, *(each.drop for each in self.failed_slices)])


def judge(
    evidence: Evidence, guard: Guard, slices: Sequence[SliceJudgement] = (), confusion: Confusion | None = None
) -> Judgement:
    """Fail: a slice failed, or the drop is shown to be over `max_drop`. Undecidable: neither shown nor excluded."""
    verdict, needed = _verdict(evidence, guard)
    if any(each.verdict is Verdict.FAIL for each in slices):
        verdict, needed = Verdict.FAIL, None
    upper = evidence.upper(evidence.n)
    return Judgement(
        verdict,
        evidence.source,
        evidence.variant,
        evidence.drop,
        upper,
        evidence.n,
        needed,
        tuple(slices),
        confusion,
    )


def _verdict(evidence: Evidence, guard: Guard) -> tuple[Verdict, int | None]:
    if evidence.drop > guard.max_drop:
        shown = _at_least(evidence.n, lambda n: evidence.doubt(guard.max_drop, n) < DOUBT)
        return (Verdict.FAIL, None) if shown == evidence.n else (Verdict.UNDECIDABLE, shown)
    excluded = _at_least(evidence.n, lambda n: evidence.upper(n) <= guard.max_drop + guard.slack)
    return (Verdict.PASS, None) if excluded == evidence.n else (Verdict.UNDECIDABLE, excluded)


def _at_least(n: int, settles: Callable[[int], bool]) -> int | None:
    """The least number from n on that settles it if the shares stay as they are, by bisection."""
    if settles(n):
        return n
    low, high = n, MOST_NEEDED
    if not settles(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high
