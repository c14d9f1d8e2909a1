"""The layers of a variant that stay float, found by making and running files on the ranking split, within a budget."""

from __future__ import annotations

import time
from dataclasses import replace
from math import isfinite

from edge_converters.divergences import divergence
from edge_converters.drafts import Workshop
from edge_converters.errors import CheckFailed, ConverterError
from edge_converters.making import edit, layers_of
from edge_converters.mixing import Keep, Measure, Seen, Settle, next_mix, ranked, rankings
from edge_converters.ranking_answers import answer_ranking, ranking_drop
from edge_converters.recipes import Recipe
from edge_converters.workers import WorkerDied
from edge_profiles.profile import Profile


def mix(profile: Profile, base: Recipe, shop: Workshop) -> Recipe:
    """`base` with the fewest layers in float that keep the accuracy in ranking; else with those that lost least.

    Raises:
        CheckFailed: nothing was found that may stay float.
        NotConvertible: a pass of `base` does not fit the model.
        WorkerDied: a library crashed.
    """
    names, seen, start = names_of(profile, base, shop), dict[Keep, Seen](), time.monotonic()
    while True:
        step = next_mix(names, seen, shop.guard.max_drop, shop.climb.budget, time.monotonic() - start)
        if isinstance(step, Settle):
            return replace(base, keep=tuple(name for name in names if name in step.keep))
        if not isinstance(step, Measure):
            raise CheckFailed(
                f"of {len(names)} layers none could be left in float after {len(seen)} files",
                "Give it more time by --budget, or a gentler scheme in a copy of the profile.",
            )
        shop.steps.say(f"{base.scheme}: which layers stay float, file {len(seen) + 1}")
        seen[step.keep] = _seen(profile, base, step.keep, names, shop)


def rank(profile: Profile, base: Recipe, shop: Workshop) -> tuple[str, ...]:
    """The layers by what the quantisation of each alone costs, the most sensitive first.

    Raises:
        NotConvertible: a pass of `base` does not fit the model.
        WorkerDied: a library crashed.
    """
    names = names_of(profile, base, shop)
    seen = {}
    for number, keep in enumerate(rankings(names), 1):
        shop.steps.say(f"{base.scheme}: ranking layers, {number} of {len(names)}")
        seen[keep] = _seen(profile, base, keep, names, shop)
    return ranked(names, seen)


def names_of(profile: Profile, base: Recipe, shop: Workshop) -> tuple[str, ...]:
    """The layers with weights that a recipe's passes leave, in order.

    Raises:
        NotConvertible: a pass does not fit the model.
        WorkerDied: a library crashed.
    """
    floats = shop.floats
    edited = edit(floats.canonical[profile.format], profile.format, base.passes, floats.material, shop.worker)
    return tuple(layer.name for layer in layers_of(edited.path, profile.format, shop.worker))


def _seen(profile: Profile, base: Recipe, keep: Keep, names: tuple[str, ...], shop: Workshop) -> Seen:
    recipe = replace(base, keep=tuple(name for name in names if name in keep))
    rows, reference = shop.data.ranking_rows, shop.floats.reference
    try:
        answers = answer_ranking(profile, recipe, shop)
    except WorkerDied:
        raise
    except ConverterError:
        return Seen(None, float("inf"))
    drop = ranking_drop(answers, shop)
    return Seen(drop, divergence(shop.metric, reference, answers, rows)) if isfinite(drop) else Seen(None, drop)
