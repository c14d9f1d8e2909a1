"""What passes that take weights away bring in time, beside the same recipe without them.

Fewer multiplications are no gain by themselves: kernels work in blocks of channels, and none here skips single zeros.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from edge_converters.drafts import TRIAL_SAMPLES, Draft, Workshop
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.files import inspect_file, stored_inputs
from edge_converters.gains import Gain
from edge_converters.latency import Stopwatch
from edge_converters.making import make_file
from edge_converters.recipes import Recipe
from edge_converters.timings import Comparison
from edge_profiles.profile import Profile

SHRINKING: Final = frozenset({"factorise", "prune-channels", "prune"})


def without(recipe: Recipe) -> Recipe:
    """The recipe with all its weights. Layers that stay float are those of the recipe, which may have other ones."""
    return replace(recipe, passes=tuple(each for each in recipe.passes if each.name not in SHRINKING), keep=())


def measure_gain(profile: Profile, draft: Draft, shop: Workshop) -> Gain | None:
    """None where the recipe takes no weights away, or no latency is asked for.

    Raises:
        WorkerDied: a library crashed.
    """
    named = tuple(str(each) for each in draft.recipe.passes if each.name in SHRINKING)
    if not named or shop.stopwatch is None:
        return None
    if not draft.trial.ran:
        return Gain(named, None)
    shop.steps.say(f"{draft.recipe}: timing it beside the same without {', '.join(named)}")
    try:
        return Gain(named, _compared(profile, draft, shop, shop.stopwatch))
    except (CheckFailed, NotConvertible):
        return Gain(named, None)


def _compared(profile: Profile, draft: Draft, shop: Workshop, stopwatch: Stopwatch) -> Comparison | None:
    floats, kind, plain = shop.floats, profile.format, without(draft.recipe)
    made = make_file(floats.canonical[kind], kind, plain, profile.accelerator, floats.material, shop.worker)
    whole = inspect_file(made.path, kind, tuple(floats.reference), shop.worker)
    inputs = stored_inputs(whole, np.load(floats.material.calibration)[:TRIAL_SAMPLES], "timing")
    timing = stopwatch.measure(draft.file.path, draft.inputs, whole.path, inputs, profile)
    return None if timing is None else timing.comparison
