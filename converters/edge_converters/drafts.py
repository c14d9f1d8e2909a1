"""A recipe for a profile, made into a file that holds every check of its target. It is judged elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.ids import Digest
from edge_converters.checks import Trial, try_on_target, verify
from edge_converters.datasets import Data
from edge_converters.errors import CheckFailed
from edge_converters.files import RUN_ON_CPU, ModelFile, inspect_file, run, stored_inputs
from edge_converters.floats import Floats
from edge_converters.guard import Guard
from edge_converters.held_back import HeldBack
from edge_converters.ladder import Climb
from edge_converters.latency import Stopwatch
from edge_converters.making import PassStep, WeightedLayer, make_file
from edge_converters.metrics import Metric, in_order
from edge_converters.progress import Steps
from edge_converters.recipes import Recipe
from edge_converters.robustness.checkup import Checkup
from edge_converters.weights import check_zeros
from edge_converters.workers import Worker
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

Array = npt.NDArray[Any]

TRIAL_SAMPLES: Final = 32
"""Samples that are run on the target's engine: a simulator takes up to a tenth of a second for each."""


@dataclass(frozen=True)
class Workshop:
    """What making a variant needs, the same for all profiles."""

    data: Data
    floats: Floats
    metric: Metric
    guard: Guard
    worker: Worker
    stopwatch: Stopwatch | None = None
    """None where no latency is asked for."""
    steps: Steps = field(default_factory=Steps)
    climb: Climb = field(default_factory=Climb)
    test: HeldBack | None = None
    """For the report alone: nothing is chosen or decided by it."""
    checkup: Checkup | None = None
    """None where no robustness report is asked for."""
    source: Digest | None = None
    """Of the model and what it was taught: by this others tell whether a search is about the same."""

    @property
    def tried(self) -> npt.NDArray[np.intp]:
        """Rows of the evaluation data that are run on the target's engine: only for how near it is to the CPU."""
        return self.data.decision_rows[:TRIAL_SAMPLES]


@dataclass(frozen=True)
class Draft:
    """A file that truly has what its recipe asks, and runs. `real` are its answers to the evaluation data."""

    recipe: Recipe
    file: ModelFile
    real: dict[str, Array]
    inputs: Path
    """The tried rows, as the file stores them."""
    trial: Trial
    steps: tuple[PassStep, ...] = ()
    """What each pass left."""
    kept: tuple[WeightedLayer, ...] = ()
    """Layers in float."""

    @property
    def scheme(self) -> Scheme:
        """How its numbers are stored."""
        return self.recipe.scheme


def make_draft(profile: Profile, recipe: Recipe, shop: Workshop) -> Draft:
    """The profile's variant by `recipe`.

    Raises:
        NotConvertible: the model does not reach the recipe's scheme.
        CheckFailed: the file is not what was asked for, or does not run as the profile asks.
        WorkerDied: a library crashed.
    """
    data, floats, names = shop.data, shop.floats, list(shop.floats.reference)
    shop.steps.say(f"{recipe}: making the file")
    canonical = floats.canonical[profile.format]
    made = make_file(canonical, profile.format, recipe, profile.accelerator, floats.material, shop.worker)
    file = inspect_file(made.path, profile.format, tuple(names), shop.worker)
    verify(file, profile, recipe.scheme, made.kept)
    if recipe.prunes:
        check_zeros(file, made.steps[-1].zeros)
    shop.steps.say(f"{recipe}: answering {len(data.evaluation)} samples")
    evaluation = stored_inputs(file, data.model_input(data.evaluation.x), "evaluation")
    real, _ = run(file, RUN_ON_CPU[profile.format], evaluation, shop.worker, threads=profile.threads)
    real = in_order(names, real)
    if not all(np.isfinite(values).all() for values in real.values()):
        raise CheckFailed("the variant answers NaN or infinity to evaluation data", "Numbers overflow in this scheme.")
    inputs = stored_inputs(file, data.model_input(data.evaluation.x[shop.tried]), "trial")
    shop.steps.say(f"{recipe}: running on the target's engine")
    trial = try_on_target(file, profile, inputs, {name: values[shop.tried] for name, values in real.items()})
    return Draft(recipe, file, real, inputs, trial, (*floats.steps[profile.format], *made.steps[1:]), made.kept)
