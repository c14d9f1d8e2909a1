"""Which smaller share of channels may keep the accuracy, where the one that was asked for does not: by ranking alone.

The ranking of channels is the same for every share, so that each costs little more than making a file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edge_converters.calls import call
from edge_converters.drafts import Workshop
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.gains import Lesser
from edge_converters.ranking_answers import answer_ranking, ranking_drop
from edge_converters.recipes import Recipe
from edge_profiles.profile import Profile

CHANNELS: Final = "prune-channels"
PARTS: Final = (0.75, 0.5, 0.25)
"""Of the share that was asked for."""


def try_lesser(profile: Profile, recipe: Recipe, shop: Workshop) -> tuple[Lesser, ...]:
    """`recipe` with smaller shares, down to the first that loses no more than is allowed in ranking.

    Within the seconds of the climb's budget; nothing if the recipe takes no channels away.

    Raises:
        WorkerDied: a library crashed.
    """
    found: list[Lesser] = []
    start = time.monotonic()
    for share, lesser in _milder(recipe):
        if time.monotonic() - start > shop.climb.budget.seconds:
            break
        shop.steps.say(f"{recipe.scheme}: trying a share of {share:.3g}")
        found.append(Lesser(share, _drop(profile, lesser, shop)))
        if (drop := found[-1].drop) is not None and drop <= shop.guard.max_drop:
            break
    return tuple(found)


def _milder(recipe: Recipe) -> Iterator[tuple[float, Recipe]]:
    asked = next((each for each in recipe.passes if each.name == CHANNELS), None)
    if asked is None:
        return
    for part in PARTS:
        share = round(float(dict(asked.parameters)["share"]) * part, 4)
        passes = tuple(call(CHANNELS, {"share": share}) if each is asked else each for each in recipe.passes)
        yield share, replace(recipe, passes=passes)


def _drop(profile: Profile, recipe: Recipe, shop: Workshop) -> float | None:
    try:
        return ranking_drop(answer_ranking(profile, recipe, shop), shop)
    except (CheckFailed, NotConvertible):
        return None
