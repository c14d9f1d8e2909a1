"""What a recipe's file answers to the ranking samples alone: for those who compare many files and ship none."""

from __future__ import annotations

import numpy as np

from edge_converters.decisions import judge_split
from edge_converters.drafts import Workshop
from edge_converters.files import RUN_ON_CPU, inspect_file, run, stored_inputs
from edge_converters.making import make_file
from edge_converters.metrics import Outputs, in_order
from edge_converters.recipes import Recipe
from edge_profiles.profile import Profile


def answer_ranking(profile: Profile, recipe: Recipe, shop: Workshop) -> Outputs:
    """As long as the evaluation data, with zeros in place of the other samples' answers.

    Raises:
        NotConvertible: the model does not reach the recipe's scheme.
        WorkerDied: a library crashed.
    """
    floats, kind, rows = shop.floats, profile.format, shop.data.ranking_rows
    made = make_file(floats.canonical[kind], kind, recipe, profile.accelerator, floats.material, shop.worker)
    file = inspect_file(made.path, kind, tuple(floats.reference), shop.worker)
    inputs = stored_inputs(file, shop.data.model_input(shop.data.evaluation.x[rows]), "ranking")
    real, _ = run(file, RUN_ON_CPU[kind], inputs, shop.worker, threads=profile.threads)
    whole = {}
    for name, values in in_order(list(floats.reference), real).items():
        whole[name] = np.zeros((len(shop.data.evaluation), *values.shape[1:]), values.dtype)
        whole[name][rows] = values
    return whole


def ranking_drop(answers: Outputs, shop: Workshop) -> float:
    """What these answers lose there, or what the worst slice does that fails; infinite if they are not finite."""
    if not all(np.isfinite(values).all() for values in answers.values()):
        return float("inf")
    return judge_split(shop.metric, shop.floats.reference, answers, shop.data.ranking_rows, shop.guard).worst_drop
