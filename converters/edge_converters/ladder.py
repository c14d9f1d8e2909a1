"""Which recipe is taken: chosen on the ranking split alone, so that the decision split is looked at once.

Pure. Judging every rung on the decision split would let the luckiest through: with k looks, up to k times the risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_converters.errors import BadInput
from edge_converters.guard import Verdict
from edge_converters.recipes import Call, Plan, Recipe, rungs
from edge_converters.search.plans import SearchPlan
from edge_profiles.profile import Profile
from edge_profiles.schemes import SCHEMES


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
    """Rungs that are made."""
    mixes: int = 100
    """Files that are made to find the layers of one rung that stay float."""


@dataclass(frozen=True)
class Climb:
    """What the user asks of the way to a good recipe.

    Raises:
        BadInput: a part of it would be ignored.
    """

    first: tuple[Call, ...] = ()
    """Passes before those of every rung."""
    effort: int = 0
    """Rungs of each scheme that are left out."""
    budget: Budget = Budget()
    own: tuple[Recipe, ...] = ()
    """The user's recipes in place of all others, tried in this order."""
    search: SearchPlan | None = None
    """In place of the ladder."""

    def __post_init__(self) -> None:
        if self.own and (self.first or self.effort or self.search):
            raise BadInput(
                "recipes of one's own take the place of all others",
                "Leave out effort and search, and write passes into the recipes.",
            )
        if self.search and self.effort:
            raise BadInput("a search tries recipes in no order", "Leave effort out.")

    def plans(self, profile: Profile) -> tuple[Plan, ...]:
        """What is tried for a profile, in order; of the user's recipes those that its engine runs."""
        if self.own:
            return tuple(recipe for recipe in self.own if recipe.scheme in SCHEMES[profile.engine, profile.accelerator])
        return rungs(profile, self.first, self.effort)


@dataclass(frozen=True)
class Try:
    """Make this next."""

    plan: Plan


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
    plans: Sequence[Plan], tried: Sequence[Rung], max_drop: float, budget: Budget = Budget(), spent: float = 0.0
) -> Step:
    """Climb `plans`, best first, to the first that loses at most `max_drop` in ranking; else take what lost least.

    `tried` are the rungs so far, in the order of `plans`; `spent` the seconds they took.
    """
    suited = next((rung.recipe for rung in tried if rung.drop is not None and rung.drop <= max_drop), None)
    if suited is not None:
        return Take(suited, gentler=len(tried) < len(plans))
    over = bool(tried) and (spent > budget.seconds or len(tried) >= budget.evaluations)
    if len(tried) < len(plans) and not over:
        return Try(plans[len(tried)])
    runs = [(rung.drop, place) for place, rung in enumerate(tried) if rung.drop is not None]
    return Take(tried[min(runs)[1]].recipe, gentler=over and len(tried) < len(plans)) if runs else GiveUp()


def verdict_of(decided: Verdict, gentler: bool) -> Verdict:
    """The profile's verdict from the one decision: a loss with no recipe left means that none keeps the accuracy."""
    return Verdict.UNREACHABLE if decided is Verdict.FAIL and not gentler else decided
