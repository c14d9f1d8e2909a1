"""Which scheme of a profile is taken: chosen on the ranking split alone, so that the decision split is looked at once.

Pure. Judging every rung on the decision split would let the luckiest through: with k looks, up to k times the risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_converters.guard import Verdict
from edge_profiles.schemes import Scheme


@dataclass(frozen=True)
class Rung:
    """A scheme that was made. `drop` is its loss on the ranking split; None if it broke a check of its target."""

    scheme: Scheme
    drop: float | None


@dataclass(frozen=True)
class Try:
    """Make this scheme next."""

    scheme: Scheme


@dataclass(frozen=True)
class Take:
    """Judge this scheme on the decision split; `gentler` tells whether there are schemes behind it, not tried."""

    scheme: Scheme
    gentler: bool


@dataclass(frozen=True)
class GiveUp:
    """Every scheme broke a check."""


Step = Try | Take | GiveUp


def next_step(schemes: Sequence[Scheme], tried: Sequence[Rung], max_drop: float) -> Step:
    """Climb `schemes`, best first, to the first that loses at most `max_drop` in ranking; else take what lost least.

    `tried` are the rungs so far, in the order of `schemes`.
    """
    suited = next((rung.scheme for rung in tried if rung.drop is not None and rung.drop <= max_drop), None)
    if suited is not None:
        return Take(suited, gentler=len(tried) < len(schemes))
    if len(tried) < len(schemes):
        return Try(schemes[len(tried)])
    runs = [(rung.drop, place) for place, rung in enumerate(tried) if rung.drop is not None]
    return Take(tried[min(runs)[1]].scheme, gentler=False) if runs else GiveUp()


def verdict_of(decided: Verdict, gentler: bool) -> Verdict:
    """The profile's verdict from the one decision: a loss with no scheme left means that none keeps the accuracy."""
    return Verdict.UNREACHABLE if decided is Verdict.FAIL and not gentler else decided
