"""One profile: climb its recipes to the one that ranking chooses, and judge that one once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_converters import explanations
from edge_converters.closer_look import look_closer
from edge_converters.decisions import judge_split
from edge_converters.drafts import TRIAL_SAMPLES, Draft, Workshop, make_draft
from edge_converters.errors import BackendMissing, CheckFailed, NotConvertible
from edge_converters.files import ModelFile, stored_inputs
from edge_converters.guard import Judgement, Verdict
from edge_converters.ladder import GiveUp, Rung, Step, Take, Try, next_step, verdict_of
from edge_converters.latency import Timing
from edge_converters.mixed_precision import mix
from edge_converters.outcomes import Made
from edge_converters.packing import figures_of, pack
from edge_converters.recipes import Mixed, Plan, Recipe
from edge_converters.reports import Candidate, ProfileReport, best_of
from edge_converters.search.findings import Found, Trial
from edge_converters.search.plans import SearchPlan
from edge_converters.shrinking import measure_gain
from edge_converters.workers import WorkerDied
from edge_profiles.profile import Profile

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Tried:
    """A rung of the ladder; without a draft it broke a check."""

    recipe: Recipe
    candidate: Candidate
    draft: Draft | None = None


def make_variant(profile: Profile, shop: Workshop) -> Made:
    """The recipe that ranking chooses, if the decision confirms it; else the reason why there is none."""
    plan = shop.climb.search
    way = _climbed(profile, shop) if plan is None else _searched(profile, plan, shop)
    step, tried = way.step, list(way.tried)
    place = next((i for i, each in enumerate(tried) if isinstance(step, Take) and each.recipe == step.recipe), None)
    draft = None if place is None else tried[place].draft
    if place is None or draft is None or not isinstance(step, Take):
        return Made(_report(profile, Verdict.FAIL, way, None, shop))
    judgement = _judged(draft.real, shop.data.decision_rows, shop)
    verdict = verdict_of(judgement.verdict, step.gentler)
    tried[place] = replace(tried[place], candidate=_decided(tried[place].candidate, judgement, shop))
    report = _told(profile, draft, _report(profile, verdict, replace(way, tried=tried), step.recipe, shop), shop)
    return _finished(profile, draft, judgement, report, shop) if verdict is Verdict.PASS else Made(report)


@dataclass(frozen=True)
class _Way:
    """How a recipe was come by: by climbing the ladder or by a search."""

    step: Step
    tried: Sequence[_Tried]
    search: Found | None = None


def _climbed(profile: Profile, shop: Workshop) -> _Way:
    tried: list[_Tried] = []
    start = time.monotonic()
    while isinstance(step := _next_step(profile, tried, time.monotonic() - start, shop), Try):
        tried.append(_attempt(profile, step.plan, tried, shop))
    return _Way(step, tried)


def _searched(profile: Profile, plan: SearchPlan, shop: Workshop) -> _Way:
    try:
        from edge_converters.search.exploration import explore
    except ModuleNotFoundError as error:
        message = f"a search needs the library {error.name}, which is not installed"
        raise BackendMissing(message, "Install it with: pip install 'edge-sdk[search]'") from error
    found = explore(profile, plan, shop)
    tried = [_Tried(each.recipe, _candidate_of(each, shop)) for each in found.trials]
    if found.taken is None or found.recipe is None:
        nothing = Candidate("search", Verdict.FAIL, f"none of {found.proposals} proposals could be made")
        return _Way(GiveUp(), tried or [_Tried(Recipe(profile.schemes[0]), nothing)], found)
    tried[found.taken] = _attempt(profile, found.recipe, (), shop)
    drop = tried[found.taken].candidate.ranking_drop
    confirmed = drop is not None and drop <= shop.guard.max_drop
    return _Way(Take(found.recipe, gentler=confirmed and len(tried) > 1), tried, found)


def _candidate_of(trial: Trial, shop: Workshop) -> Candidate:
    scheme, costs = trial.recipe.scheme, trial.costs
    if costs is None:
        return Candidate(scheme, Verdict.FAIL, trial.sentence, recipe=trial.recipe)
    said = f"drop {costs.drop * 100:+.2f} points in ranking (n = {len(shop.data.ranking_rows)})"
    drop, size = costs.drop, costs.size_bytes
    return Candidate(scheme, Verdict.FAIL, said, ranking_drop=drop, size_bytes=size, recipe=trial.recipe)


def _next_step(profile: Profile, tried: Sequence[_Tried], spent: float, shop: Workshop) -> Step:
    """Past the budget, no further rung is tried: seconds decide then what is shipped, so the budget is a wide one."""
    so_far = [Rung(each.recipe, each.candidate.ranking_drop) for each in tried]
    return next_step(shop.climb.plans(profile), so_far, shop.guard.max_drop, shop.climb.budget, spent)


def _attempt(profile: Profile, plan: Plan, before: Sequence[_Tried], shop: Workshop) -> _Tried:
    scheme, recipe = (plan.scheme, plan) if isinstance(plan, Recipe) else (str(plan), _least_lossy(plan, before))
    try:
        recipe = recipe if isinstance(plan, Recipe) else mix(profile, recipe, shop)
        draft = make_draft(profile, recipe, shop)
    except (CheckFailed, NotConvertible, WorkerDied) as error:
        settled, own = not isinstance(error, WorkerDied), recipe if isinstance(plan, Recipe) else None
        return _Tried(recipe, Candidate(scheme, Verdict.FAIL, str(error), error.hint, recipe=own, settled=settled))
    ranking = _judged(draft.real, shop.data.ranking_rows, shop)
    said = explanations.ranked(ranking, shop.guard)
    drop, size = ranking.worst_drop, draft.file.size
    candidate = Candidate(recipe.scheme, Verdict.FAIL, said, ranking_drop=drop, size_bytes=size, recipe=recipe)
    return _Tried(recipe, candidate, draft)


def _least_lossy(plan: Mixed, before: Sequence[_Tried]) -> Recipe:
    """Of the scheme's recipes the one that lost least in ranking."""
    ran = [each for each in before if each.recipe.scheme == plan.base.scheme and each.draft is not None]
    return min(ran, key=lambda each: each.candidate.ranking_drop or 0.0).recipe if ran else plan.base


def _judged(real: dict[str, Array], rows: npt.NDArray[np.intp], shop: Workshop) -> Judgement:
    return judge_split(shop.metric, shop.floats.reference, real, rows, shop.guard)


def _tested(profile: Profile, draft: Draft, shop: Workshop) -> Judgement | None:
    return None if shop.test is None else shop.test.judge(draft.file, profile.threads, shop.guard, shop.worker)


def _told(profile: Profile, draft: Draft, report: ProfileReport, shop: Workshop) -> ProfileReport:
    """With what is known of a judged variant, shipped or not."""
    look = look_closer(profile, draft, shop)
    return replace(
        report,
        test=_tested(profile, draft, shop),
        float_bytes=shop.floats.files[profile.format].size,
        recipe=draft.recipe,
        kept=draft.kept,
        steps=draft.steps,
        layers=look.layers,
        robustness=look.robustness,
        gain=measure_gain(profile, draft, report.verdict, shop),
    )


def _decided(candidate: Candidate, judgement: Judgement, shop: Workshop) -> Candidate:
    said = explanations.decided(judgement, shop.guard)
    return replace(candidate, verdict=judgement.verdict, sentence=said, judgement=judgement)


def _report(profile: Profile, verdict: Verdict, way: _Way, taken: Recipe | None, shop: Workshop) -> ProfileReport:
    candidates = tuple(each.candidate for each in way.tried)
    name = None if taken is None else str(taken)
    return ProfileReport(
        profile=profile.name,
        verdict=verdict,
        variant=None,
        taken=name,
        candidates=candidates,
        hint=explanations.what_to_do(best_of(candidates, name), _untried(profile, way, shop), shop.guard),
        search=way.search,
    )


def _untried(profile: Profile, way: _Way, shop: Workshop) -> explanations.Untried:
    tried = way.tried
    if way.search is not None:
        return explanations.Untried(others=isinstance(way.step, Take) and way.step.gentler)
    left = shop.climb.plans(profile)[len(tried) :]
    begun = {each.recipe.scheme for each in tried}
    later = [plan.scheme for plan in left if isinstance(plan, Recipe) and plan.scheme not in begun]
    schemes = tuple(dict.fromkeys(later))
    mending = any((plan.scheme if isinstance(plan, Recipe) else plan.base.scheme) in begun for plan in left)
    return explanations.Untried(len(tried) + shop.climb.effort if mending else None, schemes)


def _finished(profile: Profile, draft: Draft, judgement: Judgement, report: ProfileReport, shop: Workshop) -> Made:
    base = shop.floats.files[profile.format]
    timing = _timed(profile, draft, base, shop)
    figures = figures_of(draft, base, timing)
    variant, files = pack(profile, draft, judgement, figures, shop)
    report = replace(
        report,
        variant=variant.name,
        target=draft.trial.sentence,
        latency=timing.variant if timing else None,
        float_latency=timing.base if timing else None,
        comparison=timing.comparison if timing else None,
        figures=figures,
    )
    return Made(report, variant, files)


def _timed(profile: Profile, draft: Draft, base: ModelFile, shop: Workshop) -> Timing | None:
    """The variant's latency beside the float model's; None where it is not asked for or cannot be taken."""
    if shop.stopwatch is None or not draft.trial.ran:
        return None
    shop.steps.say(f"{draft.recipe}: timing it beside the float model")
    base_inputs = stored_inputs(base, np.load(shop.floats.material.calibration)[:TRIAL_SAMPLES], "timing")
    return shop.stopwatch.measure(draft.file.path, draft.inputs, base.path, base_inputs, profile)
