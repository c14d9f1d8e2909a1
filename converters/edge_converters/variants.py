"""One profile: try its schemes, best first, until one is good enough and runs as the profile asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.ids import Digest, VariantName
from edge_contracts.manifest import Accuracy, EngineNeeds, Figure, FileRef, Limits, Variant
from edge_contracts.payload import Payload, pack_payload
from edge_converters import golden
from edge_converters.bundles import GOLDEN_FILE, VARIANTS_FOLDER
from edge_converters.checks import QUANTISED, Trial, try_on_target, verify
from edge_converters.datasets import Data
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.files import RUN_ON_CPU, ModelFile, run, stored_inputs
from edge_converters.floats import Floats, make_file
from edge_converters.guard import Guard, Judgement, Verdict, judge
from edge_converters.latency import Latency, measure
from edge_converters.machine import describe_machine
from edge_converters.metrics import Metric, in_order, scores
from edge_converters.recipes import recipe_for
from edge_converters.reports import Candidate, ProfileReport, worst
from edge_converters.tensors import to_stored
from edge_converters.workers import Worker, WorkerDied
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

Array = npt.NDArray[Any]

TRIAL_SAMPLES: Final = 16
"""Samples that are run on the target's engine: a simulator takes up to a tenth of a second for each."""


@dataclass(frozen=True)
class Workshop:
    """What making a variant needs, the same for all profiles."""

    data: Data
    floats: Floats
    metric: Metric
    guard: Guard
    worker: Worker


@dataclass(frozen=True)
class Made:
    """A profile's outcome: its report and, if something is shipped, the manifest's entry with its files."""

    report: ProfileReport
    variant: Variant | None = None
    files: dict[str, bytes] | None = None


@dataclass(frozen=True)
class _Good:
    file: ModelFile
    scheme: Scheme
    judgement: Judgement
    trial: Trial
    inputs: Path
    real: dict[str, Array]


def make_variant(profile: Profile, shop: Workshop) -> Made:
    """The first scheme of the profile that passes the guard and every check of its target."""
    candidates: list[Candidate] = []
    for scheme in profile.schemes:
        candidate, good = _attempt(profile, scheme, shop)
        candidates.append(candidate)
        if good is not None:
            return _finished(profile, good, tuple(candidates), shop)
    return Made(ProfileReport(profile.name, _overall(candidates), None, tuple(candidates)))


def _attempt(profile: Profile, scheme: Scheme, shop: Workshop) -> tuple[Candidate, _Good | None]:
    try:
        return _try_scheme(profile, scheme, shop)
    except (CheckFailed, NotConvertible, WorkerDied) as error:
        return Candidate(scheme, Verdict.FAIL, str(error), error.hint), None


def _try_scheme(profile: Profile, scheme: Scheme, shop: Workshop) -> tuple[Candidate, _Good | None]:
    data, names = shop.data, list(shop.floats.reference)
    canonical = shop.floats.canonical[profile.format]
    file = make_file(
        canonical, profile.format, scheme, profile.accelerator, shop.floats.calibration, names, shop.worker
    )
    verify(file, profile, scheme)
    evaluation = stored_inputs(file, data.model_input(data.evaluation.x), "evaluation")
    real, _ = run(file, RUN_ON_CPU[profile.format], evaluation, shop.worker, threads=profile.threads)
    real = in_order(names, real)
    if not all(np.isfinite(values).all() for values in real.values()):
        raise CheckFailed("the variant answers NaN or infinity to evaluation data", "Numbers overflow in this scheme.")
    ranking = _judged(real, data.ranking_rows, shop)
    judgement = _judged(real, data.decision_rows, shop)
    said = _sentence(judgement, shop.guard)
    candidate = Candidate(scheme, judgement.verdict, said, _hint(judgement), judgement, ranking.drop, file.size)
    if judgement.verdict is not Verdict.PASS:
        return candidate, None
    rows = data.decision_rows[:TRIAL_SAMPLES]
    inputs = stored_inputs(file, data.model_input(data.evaluation.x[rows]), "trial")
    trial = try_on_target(file, profile, inputs, {name: values[rows] for name, values in real.items()})
    return candidate, _Good(file, scheme, judgement, trial, inputs, real)


def _judged(real: dict[str, Array], rows: npt.NDArray[np.intp], shop: Workshop) -> Judgement:
    reference = shop.floats.reference
    before, after = (scores(shop.metric, reference, each, rows) for each in (reference, real))
    return judge(before, after, shop.guard, shop.metric.bound)


def _finished(profile: Profile, good: _Good, candidates: tuple[Candidate, ...], shop: Workshop) -> Made:
    base = shop.floats.files[profile.format]
    base_inputs = stored_inputs(base, np.load(good.inputs.with_name("calibration.npy"))[:TRIAL_SAMPLES], "timing")
    timing = measure(good.file, good.inputs, base, base_inputs, profile) if good.trial.ran else None
    figures = {**_figures(good, base, timing, profile), **good.trial.figures}
    name = VariantName(f"{profile.name}-{good.scheme}")
    report = ProfileReport(
        profile=profile.name,
        verdict=Verdict.PASS,
        variant=name,
        candidates=candidates,
        target=good.trial.sentence,
        float_bytes=base.size,
        latency=timing[0] if timing else None,
        float_latency=timing[1] if timing else None,
        figures=figures,
    )
    variant, files = _pack(profile, good, name, figures, shop)
    return Made(report, variant, files)


def _pack(
    profile: Profile, good: _Good, name: VariantName, figures: dict[str, Figure], shop: Workshop
) -> tuple[Variant, dict[str, bytes]]:
    data, reference = shop.data, shop.floats.reference
    tried = data.decision_rows[:TRIAL_SAMPLES]
    picked = golden.choose(reference, shop.metric.task == "classification", tried)
    rows = tried[picked]
    model = (good.trial.replaces or good.file.path).read_bytes()
    inputs = stored_inputs(good.file, data.model_input(data.evaluation.x[rows]), "golden")
    own = good.trial.real or {name: values[tried] for name, values in good.real.items()}
    answers = [to_stored(spec, own[spec.name][picked]) for spec in good.file.outputs]
    packed = golden.pack(np.load(inputs), answers)
    payload = pack_payload(Payload(model, packed))
    judgement, budgets = good.judgement, profile.budgets
    variant = Variant(
        name=name,
        profile=profile.name,
        profile_class=profile.profile_class,
        format=profile.format,
        scheme=good.scheme,
        needs=_needs(profile),
        model=_reference(model),
        golden=_reference(packed),
        payload=_reference(payload),
        inputs=good.file.inputs,
        outputs=good.file.outputs,
        tolerance=golden.tolerance(good.real, good.scheme in QUANTISED, good.trial.difference),
        limits=Limits(
            latency_p99_ms=budgets.latency.value if budgets.latency else None,
            memory_bytes=int(budgets.memory.value) if budgets.memory else None,
        ),
        accuracy=Accuracy(
            metric=shop.metric.name,
            source_value=judgement.source,
            variant_value=judgement.variant,
            n=judgement.n,
            drop_upper_bound=judgement.upper_bound,
        ),
        figures=figures,
        recipe_digest=recipe_for(profile, good.scheme).digest,
    )
    folder = f"{VARIANTS_FOLDER}/{name}"
    files = {f"{folder}/model.{profile.format}": model, f"{folder}/{GOLDEN_FILE}": packed}
    return variant, files | {f"{folder}/{file}": content for file, content in good.trial.attachments.items()}


def _needs(profile: Profile) -> EngineNeeds:
    return EngineNeeds(
        engine=profile.engine,
        accelerator=profile.accelerator,
        fallback=profile.fallback,
        coverage_floor=profile.coverage_floor,
        threads=profile.threads,
        arena_bytes=int(profile.memory.arena.value) if profile.memory.arena else None,
    )


def _figures(
    good: _Good, base: ModelFile, timing: tuple[Latency, Latency] | None, profile: Profile
) -> dict[str, Figure]:
    here = describe_machine()
    figures = {
        "size": Figure(value=good.file.size, unit="byte", kind="measured", source="the model file"),
        "float_size": Figure(value=base.size, unit="byte", kind="measured", source=f"the float {base.format} file"),
    }
    if timing is not None:
        where = f"{here}, {profile.engine} on {profile.accelerator}, {profile.threads} threads; not the target itself"
        for name, latency in zip(("latency", "float_latency"), timing, strict=True):
            for part in ("p50", "p90", "p99"):
                value = getattr(latency, part)
                figures[f"{name}_{part}"] = Figure(value=value, unit="ms", kind="measured", source=where, n=latency.n)
    return figures


def _sentence(judgement: Judgement, guard: Guard) -> str:
    lost = f"{judgement.drop * 100:+.2f} points, at most {judgement.upper_bound * 100:.2f} (95 %), n = {judgement.n}"
    match judgement.verdict:
        case Verdict.PASS:
            return f"drop {lost}"
        case Verdict.UNDECIDABLE:
            return f"drop {lost}: too few samples to exclude {(guard.max_drop + guard.slack) * 100:.1f} points"
        case _:
            return f"drop {lost}: over the {guard.max_drop * 100:.1f} points allowed"


def _hint(judgement: Judgement) -> str:
    if judgement.verdict is Verdict.UNDECIDABLE:
        return f"About {judgement.needed} samples for the decision would settle it."
    return (
        "" if judgement.verdict is Verdict.PASS else "Allow more by --max-drop, or add a gentler scheme to the profile."
    )


def _overall(candidates: list[Candidate]) -> Verdict:
    """Undecidable or broken by a check if that is what stopped it, else no scheme reaches the accuracy."""
    verdicts = [candidate.verdict for candidate in candidates]
    if Verdict.UNDECIDABLE in verdicts:
        return Verdict.UNDECIDABLE
    lost = all(candidate.judgement and candidate.judgement.verdict is Verdict.FAIL for candidate in candidates)
    return Verdict.UNREACHABLE if lost else worst(verdicts)


def _reference(content: bytes) -> FileRef:
    return FileRef(digest=Digest.of(content), length=len(content))
