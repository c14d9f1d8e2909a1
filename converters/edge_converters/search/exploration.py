"""The search for one profile: each proposal is made, checked, judged by ranking and timed; the front is the result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_contracts.manifest import Figure
from edge_converters.decisions import judge_split
from edge_converters.divergences import divergence
from edge_converters.drafts import TRIAL_SAMPLES, Draft, Workshop, make_draft
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.files import stored_inputs
from edge_converters.fingerprints import fingerprint
from edge_converters.latency import SHORT, Stopwatch
from edge_converters.mixed_precision import names_of, rank
from edge_converters.recipe_files import parse
from edge_converters.recipes import Recipe
from edge_converters.search.findings import Costs, Found, Trial, best, choose
from edge_converters.search.plans import SearchPlan
from edge_converters.search.space import Space
from edge_converters.search.studies import Answer, Proposal, Told, run_study
from edge_converters.workers import WorkerDied
from edge_profiles.profile import Profile

MEASURED = "of the float model's time, measured in turns on this machine"
ESTIMATED = "ms, estimated by Vela"
COUNTED = "multiplications: no engine that could be timed here"


def explore(profile: Profile, plan: SearchPlan, shop: Workshop) -> Found:
    """Recipes for `profile`, judged on the ranking split alone.

    Raises:
        BadInput: the storage cannot be used, or its study is about something else.
        BackendMissing: a library of the storage is missing.
    """
    space = Space(profile, shop.climb.first)
    name = f"{plan.study}/{profile.name}"
    samples = len(shop.data.ranking_rows)
    with Stopwatch(SHORT) as stopwatch:
        bench = _Bench(profile, space, plan, shop, stopwatch)
        basis, seed = _basis(profile, plan, shop), shop.floats.material.seed
        answers = run_study(plan, name, basis, space.points(), space.plain(), seed, bench)
    trials = _each_once(answers)
    places = best(trials, samples)
    return Found(
        sampler=plan.sampler,
        study=None if plan.storage is None else name,
        proposals=len(answers),
        time_unit=next((answer["unit"] for answer in answers if answer["unit"]), COUNTED),
        trials=trials,
        front=places,
        taken=choose(trials, places, samples, shop.guard.max_drop),
    )


@dataclass
class _Bench:
    """Makes what is proposed. What was proposed before, by whichever worker, is not made again."""

    profile: Profile
    space: Space
    plan: SearchPlan
    shop: Workshop
    stopwatch: Stopwatch
    rankings: dict[Recipe, tuple[str, ...]] = field(default_factory=dict)

    def __call__(self, proposal: Proposal) -> Told:
        number = f"trial {proposal.number + 1} of {self.plan.trials}"
        self.shop.steps.say(f"search, {number}")
        try:
            recipe = self.space.draw(proposal.pick, self._ranked)
        except (CheckFailed, NotConvertible, WorkerDied) as error:
            return Told(None, _answer(None, None, str(error)))
        before = next((each for each in proposal.answers if each["digest"] == str(recipe.digest)), None)
        told = self._tried(recipe) if before is None else before
        costs = None if told["costs"] is None else Costs(**told["costs"])
        samples = len(self.shop.data.ranking_rows)
        return Told(None if costs is None else (costs.loss(samples), costs.time, float(costs.size_bytes)), told)

    def _ranked(self, recipe: Recipe) -> Sequence[str]:
        """By one ranking for each scheme, of the model as it is: layers that passes split are left out."""
        plain = Recipe(recipe.scheme)
        if plain not in self.rankings:
            self.rankings[plain] = rank(self.profile, plain, self.shop)
        own = set(names_of(self.profile, recipe, self.shop))
        return [name for name in self.rankings[plain] if name in own]

    def _tried(self, recipe: Recipe) -> Answer:
        try:
            draft = make_draft(self.profile, recipe, self.shop)
            time, unit = self._time(draft)
        except (CheckFailed, NotConvertible, WorkerDied) as error:
            return _answer(recipe, None, str(error))
        shop, rows = self.shop, self.shop.data.ranking_rows
        judged = judge_split(shop.metric, shop.floats.reference, draft.real, rows, shop.guard)
        apart = divergence(shop.metric, shop.floats.reference, draft.real, rows)
        return _answer(recipe, Costs(judged.worst_drop, apart, time, draft.file.size), "", unit)

    def _time(self, draft: Draft) -> tuple[float, str]:
        """By a short measurement beside the float model; where there is none, by an estimate; and of what."""
        shop, base = self.shop, self.shop.floats.files[self.profile.format]
        if shop.stopwatch is not None and draft.trial.ran:
            inputs = stored_inputs(base, np.load(shop.floats.material.calibration)[:TRIAL_SAMPLES], "timing")
            timing = self.stopwatch.measure(draft.file.path, draft.inputs, base.path, inputs, self.profile)
            if timing is not None and timing.comparison is not None:
                return timing.comparison.ratio, MEASURED
        estimated: Figure | None = draft.trial.figures.get("latency")
        if estimated is not None:
            return estimated.value, ESTIMATED
        return float(draft.steps[-1].multiplications), COUNTED


def _answer(recipe: Recipe | None, costs: Costs | None, sentence: str, unit: str = "") -> Answer:
    plain: dict[str, Any] = {"recipe": None, "digest": None} if recipe is None else _named(recipe)
    values = (
        None
        if costs is None
        else {"drop": costs.drop, "error": costs.error, "time": costs.time, "size_bytes": costs.size_bytes}
    )
    return {**plain, "costs": values, "sentence": sentence, "unit": unit, "worker": os.getpid()}


def _named(recipe: Recipe) -> dict[str, Any]:
    return {"recipe": recipe.as_json(), "digest": str(recipe.digest)}


def _each_once(answers: Sequence[Answer]) -> tuple[Trial, ...]:
    found: dict[str, Trial] = {}
    for answer in answers:
        if answer["recipe"] is not None and answer["digest"] not in found:
            costs = None if answer["costs"] is None else Costs(**answer["costs"])
            found[answer["digest"]] = Trial(parse(answer["recipe"]), costs, answer["sentence"])
    return tuple(found.values())


def _basis(profile: Profile, plan: SearchPlan, shop: Workshop) -> str:
    """What trials of one study have in common; a machine is not part of it."""
    timed = shop.stopwatch is not None
    parts = (
        shop.source,
        shop.data.digests,
        shop.metric.name,
        shop.guard,
        profile,
        plan.sampler,
        shop.climb.first,
        timed,
    )
    return str(fingerprint(parts))
