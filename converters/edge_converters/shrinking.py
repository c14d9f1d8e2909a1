"""What passes that take weights away brought and what they cost, found beside the same recipe without them.

Fewer multiplications are no gain by themselves: kernels work in blocks of channels, and none here skips single zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from edge_converters.drafts import TRIAL_SAMPLES, Draft, Workshop
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.files import inspect_file, stored_inputs
from edge_converters.gains import Gain, Taken
from edge_converters.guard import Verdict
from edge_converters.latency import Stopwatch
from edge_converters.lesser_shares import try_lesser
from edge_converters.making import PassStep, make_file
from edge_converters.ranking_answers import answer_ranking, ranking_drop
from edge_converters.recipes import Recipe
from edge_converters.timings import Comparison
from edge_profiles.profile import Profile

SHRINKING: Final = frozenset({"factorise", "prune-channels", "prune"})


def without(recipe: Recipe) -> Recipe:
    """The recipe with all its weights; the same layers stay float, unless factorising split some of them."""
    passes = tuple(each for each in recipe.passes if each.name not in SHRINKING)
    split = any(each.name == "factorise" for each in recipe.passes)
    return replace(recipe, passes=passes, keep=() if split else recipe.keep)


def measure_gain(profile: Profile, draft: Draft, verdict: Verdict, shop: Workshop) -> Gain | None:
    """Of a recipe that was judged, whether or not it passed; None where it takes no weights away.

    Raises:
        WorkerDied: a library crashed.
    """
    named = tuple(str(each) for each in draft.recipe.passes if each.name in SHRINKING)
    if not named:
        return None
    shop.steps.say(f"{draft.recipe}: beside the same without {', '.join(named)}")
    return Gain(
        passes=named,
        taken=_taken(draft.steps),
        comparison=_compared(profile, draft, shop, shop.stopwatch) if shop.stopwatch and draft.trial.ran else None,
        verdict=verdict,
        drop=ranking_drop(draft.real, shop),
        whole_drop=_whole_drop(profile, draft, shop),
        lesser=() if verdict is Verdict.PASS else try_lesser(profile, draft.recipe, shop),
    )


def _taken(steps: Sequence[PassStep]) -> Taken:
    """By the tallies in front of the first such pass and behind the last."""
    places = [place for place, step in enumerate(steps) if step.name in SHRINKING]
    before, after = steps[places[0] - 1], steps[places[-1]]
    return Taken(
        multiplications=1 - after.multiplications / max(before.multiplications, 1),
        weights=1 - (after.weights - after.zeros) / max(before.weights - before.zeros, 1),
    )


def _whole_drop(profile: Profile, draft: Draft, shop: Workshop) -> float | None:
    try:
        return ranking_drop(answer_ranking(profile, without(draft.recipe), shop), shop)
    except (CheckFailed, NotConvertible):
        return None


def _compared(profile: Profile, draft: Draft, shop: Workshop, stopwatch: Stopwatch) -> Comparison | None:
    floats, kind, plain = shop.floats, profile.format, without(draft.recipe)
    try:
        made = make_file(floats.canonical[kind], kind, plain, profile.accelerator, floats.material, shop.worker)
        whole = inspect_file(made.path, kind, tuple(floats.reference), shop.worker)
        inputs = stored_inputs(whole, np.load(floats.material.calibration)[:TRIAL_SAMPLES], "timing")
        timing = stopwatch.measure(draft.file.path, draft.inputs, whole.path, inputs, profile)
    except (CheckFailed, NotConvertible):
        return None
    return None if timing is None else timing.comparison
