"""From the options of `edge-sdk convert` to what it asks of recipes: passes, budget, own recipes, a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_converters.ladder import Climb
    from edge_converters.recipes import Call
    from edge_converters.search.plans import SearchPlan


@dataclass(frozen=True)
class Wishes:
    """The options as they were given; None where one was not."""

    prune: float | None
    prune_pattern: str
    prune_channels: float | None
    factorise: float | None
    effort: int
    budget: float


def climb(wishes: Wishes, recipes: Sequence[Path], search: SearchPlan | None) -> Climb:
    """What is asked of the way to a good recipe.

    Raises:
        BadInput: a value is not allowed, or options exclude each other.
    """
    from edge_converters.errors import BadInput
    from edge_converters.ladder import Budget, Climb
    from edge_converters.recipe_files import read_recipe

    first = _first(wishes)
    if recipes and (first or wishes.effort or search):
        raise BadInput(
            "--recipe takes the place of all other recipes",
            "Leave out --prune, --prune-channels, --factorise, --effort and --search: write passes into the file.",
        )
    if search and wishes.effort:
        raise BadInput("--search tries recipes in no order", "Leave --effort out.")
    own = tuple(dict.fromkeys(read_recipe(path) for path in recipes))
    return Climb(first, wishes.effort, Budget(seconds=wishes.budget), own, search)


def search_plan(
    trials: int | None, seconds: float | None, sampler: str, storage: str | None, study: str
) -> SearchPlan | None:
    """The search that is asked for; None if none is.

    Raises:
        BadInput: there is no such sampler, or an option of a search without one.
    """
    from edge_converters.calls import meant
    from edge_converters.errors import BadInput
    from edge_converters.search.plans import Sampler, SearchPlan

    if trials is None:
        if seconds is not None or storage is not None:
            raise BadInput("--search-seconds and --storage are of a search", "Add --search TRIALS.")
        return None
    if sampler not in {*Sampler}:
        raise BadInput(f"there is no sampler {sampler!r}", meant(sampler, [str(each) for each in Sampler]))
    return SearchPlan(trials, seconds, Sampler(sampler), storage, study)


def _first(wishes: Wishes) -> tuple[Call, ...]:
    """The passes that were asked for, in the order in which they are done."""
    from edge_converters.calls import call

    asked: tuple[tuple[str, float | None, dict[str, object]], ...] = (
        ("factorise", wishes.factorise, {"energy": wishes.factorise}),
        ("prune-channels", wishes.prune_channels, {"share": wishes.prune_channels}),
        ("prune", wishes.prune, {"sparsity": wishes.prune, "pattern": wishes.prune_pattern}),
    )
    return tuple(call(name, values) for name, amount, values in asked if amount is not None)
