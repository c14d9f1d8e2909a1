"""One profile: climb its schemes to the one that ranking chooses, and judge that one once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_contracts.manifest import Variant
from edge_converters import explanations
from edge_converters.decisions import judge_split
from edge_converters.drafts import TRIAL_SAMPLES, Draft, Workshop, make_draft
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.files import ModelFile, stored_inputs
from edge_converters.guard import Judgement, Verdict
from edge_converters.ladder import Rung, Step, Take, Try, next_step, verdict_of
from edge_converters.latency import Timing
from edge_converters.packing import figures_of, pack
from edge_converters.recipes import recipe_for
from edge_converters.reports import Candidate, ProfileReport, best_of
from edge_converters.workers import WorkerDied
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Made:
    """A profile's outcome: its report and, if something is shipped, the manifest's entry with its files."""

    report: ProfileReport
    variant: Variant | None = None
    files: dict[str, bytes] | None = None


@dataclass(frozen=True)
class _Tried:
    """A rung of the ladder; without a draft it broke a check."""

    candidate: Candidate
    draft: Draft | None = None


def make_variant(profile: Profile, shop: Workshop) -> Made:
    """The scheme that ranking chooses, if the decision confirms it; else the reason why there is none."""
    tried: dict[Scheme, _Tried] = {}
    while isinstance(step := _next_step(profile, tried, shop), Try):
        tried[step.scheme] = _attempt(profile, step.scheme, shop)
    draft = tried[step.scheme].draft if isinstance(step, Take) else None
    if not isinstance(step, Take) or draft is None:
        return Made(_report(profile, Verdict.FAIL, tried, None, shop))
    judgement = _judged(draft.real, shop.data.decision_rows, shop)
    verdict = verdict_of(judgement.verdict, step.gentler)
    tried[step.scheme] = _Tried(_decided(tried[step.scheme].candidate, judgement, shop), draft)
    report = _report(profile, verdict, tried, step.scheme, shop)
    return _finished(profile, draft, judgement, report, shop) if verdict is Verdict.PASS else Made(report)


def _next_step(profile: Profile, tried: dict[Scheme, _Tried], shop: Workshop) -> Step:
    rungs = [Rung(scheme, each.candidate.ranking_drop) for scheme, each in tried.items()]
    return next_step(profile.schemes, rungs, shop.guard.max_drop)


def _attempt(profile: Profile, scheme: Scheme, shop: Workshop) -> _Tried:
    try:
        draft = make_draft(profile, scheme, shop)
    except (CheckFailed, NotConvertible, WorkerDied) as error:
        settled = not isinstance(error, WorkerDied)
        return _Tried(Candidate(scheme, Verdict.FAIL, str(error), error.hint, settled=settled))
    ranking = _judged(draft.real, shop.data.ranking_rows, shop)
    said = explanations.ranked(ranking.drop, ranking.n, shop.guard)
    return _Tried(Candidate(scheme, Verdict.FAIL, said, ranking_drop=ranking.drop, size_bytes=draft.file.size), draft)


def _judged(real: dict[str, Array], rows: npt.NDArray[np.intp], shop: Workshop) -> Judgement:
    return judge_split(shop.metric, shop.floats.reference, real, rows, shop.guard)


def _decided(candidate: Candidate, judgement: Judgement, shop: Workshop) -> Candidate:
    said = explanations.decided(judgement, shop.guard)
    return replace(candidate, verdict=judgement.verdict, sentence=said, judgement=judgement)


def _report(
    profile: Profile, verdict: Verdict, tried: dict[Scheme, _Tried], taken: Scheme | None, shop: Workshop
) -> ProfileReport:
    candidates = tuple(each.candidate for each in tried.values())
    untried = [scheme for scheme in profile.schemes if scheme not in tried]
    return ProfileReport(
        profile=profile.name,
        verdict=verdict,
        variant=None,
        taken=taken,
        candidates=candidates,
        hint=explanations.what_to_do(best_of(candidates, taken), untried, shop.guard),
    )


def _finished(profile: Profile, draft: Draft, judgement: Judgement, report: ProfileReport, shop: Workshop) -> Made:
    base = shop.floats.files[profile.format]
    timing = _timed(profile, draft, base, shop)
    figures = figures_of(draft, base, timing)
    variant, files = pack(profile, draft, judgement, figures, shop)
    report = replace(
        report,
        variant=variant.name,
        target=draft.trial.sentence,
        float_bytes=base.size,
        latency=timing.variant if timing else None,
        float_latency=timing.base if timing else None,
        comparison=timing.comparison if timing else None,
        figures=figures,
        recipe=recipe_for(profile, draft.scheme),
    )
    return Made(report, variant, files)


def _timed(profile: Profile, draft: Draft, base: ModelFile, shop: Workshop) -> Timing | None:
    """The variant's latency beside the float model's; None where it is not asked for or cannot be taken."""
    if shop.stopwatch is None or not draft.trial.ran:
        return None
    shop.steps.say(f"{draft.scheme}: timing it beside the float model")
    base_inputs = stored_inputs(base, np.load(shop.floats.calibration)[:TRIAL_SAMPLES], "timing")
    return shop.stopwatch.measure(draft.file, draft.inputs, base, base_inputs, profile)
