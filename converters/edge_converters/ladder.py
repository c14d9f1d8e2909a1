"""Which recipe is taken: chosen on the ranking split alone, so that the decision split is looked at once.

Pure. Judging every rung on the decision split would let the luckiest through: with k looks, up to k times the risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_converters.guard import Verdict
from edge_converters.recipes import Call, Recipe


@dataclass(frozen=True)
class Rung:
    """A recipe that was made. `drop` is its loss on the ranking split; None if it broke a check of its target."""

    recipe: Recipe
    drop: float | None


@dataclass(frozen=True)
class Budget:
    """What the climb may cost in all; past it, what lost least so far is taken."""

    seconds: float = 300.0
    evaluations: int = 20


@dataclass(frozen=True)
class Climb:
    """What the user asks of the way to a good recipe."""

    first: tuple[Call, ...] = ()
    """Passes before those of every rung."""
    effort: int = 0
    """Rungs of each scheme that are left out."""
    budget: Budget = Budget()


@dataclass(frozen=True)
class Try:
    """Make this recipe next."""

    recipe: Recipe


@dataclass(frozen=True)
class Take:
    """Judge this recipe on the decision split; `gentler` tells whether there are recipes behind it, not tried."""

    recipe: Recipe
    gentler: bool


@dataclass(frozen=True)
class GiveUp:
    """Every recipe broke a check."""


Step = Try | Take | GiveUp


def next_step(
    recipes: Sequence[Recipe], tried: Sequence[Rung], max_drop: float, budget: Budget = Budget(), spent: float = 0.0
) -> Step:
    """Climb `recipes`, best first, to the first that loses at most `max_drop` in ranking; else take what lost least.

    `tried` are the rungs so far, in the order of `recipes`; `spent` the seconds they took.
    """
    suited = next((rung.recipe for rung in tried if rung.drop is not None and rung.drop <= max_drop), None)
    if suited is not None:
        return Take(suited, gentler=len(tried) < len(recipes))
    over = bool(tried) and (spent > budget.seconds or len(tried) >= budget.evaluations)
    if len(tried) < len(recipes) and not over:
        return Try(recipes[len(tried)])
    runs = [(rung.drop, place) for place, rung in enumerate(tried) if rung.drop is not None]
    return Take(tried[min(runs)[1]].recipe, gentler=over and len(tried) < len(recipes)) if runs else GiveUp()


def verdict_of(decided: Verdict, gentler: bool) -> Verdict:
    """The profile's verdict from the one decision: a loss with no recipe left means that none keeps the accuracy."""
    return Verdict.UNREACHABLE if decided is Verdict.FAIL and not gentler else decided
