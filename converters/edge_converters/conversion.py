"""The conversion: a source model, profiles and data in; a bundle out, or the reasons why there is none."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

from edge_contracts.features import make_baselines
from edge_contracts.ids import Digest, ModelName
from edge_contracts.manifest import MANIFEST_FILE, Answers, Baseline, Lineage, Manifest, Variant, write_manifest
from edge_converters import explanations
from edge_converters.answers import count_answers
from edge_converters.bundles import REPORT_FILE, VARIANTS_FOLDER, check_place, write_bundle
from edge_converters.cache import Cache
from edge_converters.costs import Costs
from edge_converters.datasets import Data, digest_of
from edge_converters.drafts import Workshop
from edge_converters.errors import BadInput, NotWritten
from edge_converters.fingerprints import fingerprint
from edge_converters.firmware import with_library
from edge_converters.floats import prepare
from edge_converters.guard import Guard, Verdict
from edge_converters.held_back import hold_back
from edge_converters.identity import Identity
from edge_converters.ladder import Climb
from edge_converters.latency import Stopwatch
from edge_converters.lint.inspection import check_source
from edge_converters.machine import describe_machine
from edge_converters.measures import ask, metric_for
from edge_converters.memory import Meter
from edge_converters.outcomes import Basis, Job, Outcome, Shelf
from edge_converters.page.rendering import PAGE_FILE, render
from edge_converters.progress import OnStep, Steps, silent
from edge_converters.provenance import code_digest, library_versions
from edge_converters.record import RECORD_FILE, Inputs, Origin, Record, VariantRecord
from edge_converters.reports import Candidate, Conversion, ProfileReport, as_json, worst
from edge_converters.resemblance import compare
from edge_converters.retraining import check_trainable, retrain
from edge_converters.robustness.checkup import Checkup, Extent
from edge_converters.sources import recognise
from edge_converters.tasks import Task
from edge_converters.training import Training
from edge_converters.variants import Made, make_variant
from edge_converters.workers import SETTINGS, Worker, observed
from edge_profiles.profile import Profile
from edge_profiles.schemes import SCHEMES


def convert(
    source: Path,
    profiles: Sequence[Profile],
    data: Data,
    *,
    output: Path,
    model: ModelName,
    version: int = 1,
    labels: Sequence[str] = (),
    guard: Guard | None = None,
    metric: str | None = None,
    costs: Costs | None = None,
    climb: Climb | None = None,
    seed: int = 0,
    latency: bool = True,
    robustness: Extent | None = None,
    page: Path | None = None,
    training: Training | None = None,
    cache: Cache | None = None,
    on_step: OnStep = silent,
) -> Conversion:
    """One variant for each profile, proven against the float source, written as a bundle to `output`.

    The bundle is written if every profile passes; otherwise nothing is, and the outcome says why. The
    libraries run in a process of its own for each conversion: TensorFlow numbers names by what it did before, and the
    same input shall give the same bytes. What is in `cache` is not made again; without `latency` nothing is timed.
    `metric` is a name in `measures.METRICS`, `top-2` and so on, or `file.py:function`; None: what fits the model.
    `climb` tells passes to do first and what the way to a good recipe may cost. With `robustness` each judged variant
    is tried on worse inputs beside its float model. The report for people is in the bundle and, whatever the verdict,
    in the file `page` if it is given. With `training` a Keras source is trained first; what variants are compared with
    stays the source as it was given.

    Raises:
        BadInput: source, data or arguments are not usable.
        BackendMissing: a library is not installed.
        NotConvertible: the source reaches none of the formats.
        CheckFailed: a float conversion differs from its source.
        NotWritten: no room or permission for the output.
    """
    began, guard = datetime.now(UTC), guard or Guard()
    check_place(output)
    opened = recognise(source)
    _check(profiles, climb or Climb())
    if training is not None:
        check_trainable(opened)
        data = replace(data, digests=data.digests | {"training": digest_of(training.samples)})
    job = Job(opened, data, guard, ask(metric, costs, labels), seed, latency, climb or Climb(), robustness, training)
    mismatch = compare(data.calibration.x, data.evaluation.x)
    if mismatch is not None and mismatch.gross:
        refused = _refused(job, profiles, mismatch.sentence)
        _write_page(page, refused, None)
        return refused
    shelf = Shelf(cache, job)
    found = {profile.name: shelf.find(profile) for profile in profiles}
    known: dict[str, Outcome] = {name: each for name, each in found.items() if each is not None}
    basis, missing = shelf.basis(), [profile for profile in profiles if profile.name not in known]
    steps, meter = Steps(on_step, len(missing) + (2 if missing else 1) + bool(missing and training)), Meter()
    if basis is None or missing:
        with observed(_Watch(steps, meter)):
            basis, made = _work(job, missing, shelf, steps)
        known |= made
    identity = Identity(model, version, tuple(labels))
    outcomes = [_named(known[profile.name], profile, identity) for profile in profiles]
    steps.begin("writing the bundle")
    outcome = _conversion(job, profiles, outcomes, basis, meter)
    entries = [each.made.variant for each in outcomes if each.made.variant is not None]
    record = _record(job, outcome, entries, began, steps)
    if outcome.verdict is Verdict.PASS:
        outcome = replace(outcome, bundle=output)
        manifest = _manifest(job, basis, entries, model, version, labels)
        write_bundle(output, _files(manifest, [each.made for each in outcomes], outcome, record))
    _write_page(page, outcome, record)
    steps.finish()
    return outcome


@dataclass(frozen=True)
class _Watch:
    """Tells children's doings to whom they concern."""

    steps: Steps
    meter: Meter

    def progressed(self, task: Task, done: int, total: int) -> None:
        self.steps.progressed(task, done, total)

    def measured(self, pid: int, peak: int, libraries: int) -> None:
        self.meter.measured(pid, peak, libraries)

    def ended(self, pid: int) -> None:
        self.meter.ended(pid)


def _work(job: Job, profiles: Sequence[Profile], shelf: Shelf, steps: Steps) -> tuple[Basis, dict[str, Outcome]]:
    """Make what is not yet known; each outcome is kept as soon as it is there."""
    data = job.data
    made: dict[str, Outcome] = {}
    steps.begin("reading the source and proving the float conversions")
    formats = tuple(dict.fromkeys(profile.format for profile in profiles))
    with _workplace() as folder, Worker() as worker, Stopwatch() as stopwatch:
        check_source(job.source, worker)
        floats = prepare(job.source, data, formats, folder, worker, job.seed)
        metric = metric_for(job.asked, floats.reference, data.evaluation, data.model_input(data.evaluation.x))
        basis = Basis(metric.name, metric.task, count_answers(metric, floats.reference), metric.error)
        if job.training is not None:
            steps.begin("training")
            trained = retrain(job.source, job.training, data, floats, formats, folder, worker, job.seed)
            floats, basis = trained.floats, replace(basis, lessons=trained.lessons)
        shelf.keep_basis(basis)
        test = hold_back(job.source, data, job.asked, folder, worker)
        watch = stopwatch if job.latency else None
        checkup = None if job.robustness is None else Checkup(job.source, job.seed, job.robustness)
        shop = Workshop(data, floats, metric, job.guard, worker, watch, steps, job.climb, test, checkup, _taught(job))
        for profile in profiles:
            steps.begin(profile.name)
            outcome = Outcome(
                make_variant(profile, shop), floats.parity[profile.format], floats.files[profile.format].size
            )
            made[profile.name] = outcome
            shelf.keep(profile, outcome)
    return basis, made


def _taught(job: Job) -> Digest | None:
    """By this other workers tell whether a search is about the same model."""
    return None if job.climb.search is None else fingerprint((job.source.digest, job.training))


def _named(outcome: Outcome, profile: Profile, identity: Identity) -> Outcome:
    """With what bears the model's name: no part of what is kept, which is the same under any name."""
    return replace(outcome, made=with_library(outcome.made, profile, identity))


def _conversion(
    job: Job, profiles: Sequence[Profile], outcomes: Sequence[Outcome], basis: Basis, meter: Meter
) -> Conversion:
    sizes = [each.float_bytes for each in outcomes if each.kept is None]
    mismatch = compare(job.data.calibration.x, job.data.evaluation.x)
    return Conversion(
        verdict=worst([each.made.report.verdict for each in outcomes]),
        bundle=None,
        reports=tuple(each.made.report for each in outcomes),
        metric=basis.metric,
        guard=job.guard,
        source=job.source.path.name,
        parity={str(profile.format): each.parity for profile, each in zip(profiles, outcomes, strict=True)},
        samples=job.counts,
        measured_on=describe_machine(),
        memory=meter.read(max(sizes, default=None)),
        error=basis.error,
        lessons=basis.lessons,
        remarks=() if mismatch is None else (f"{mismatch.sentence}.",),
    )


def _refused(job: Job, profiles: Sequence[Profile], cause: str) -> Conversion:
    """Nothing is made from data of which one file must be wrong: neither ranges nor a verdict would mean anything."""
    hint = explanations.other_data(job.data.preprocessing)
    candidate = Candidate("not begun", Verdict.FAIL, cause, hint)
    return Conversion(
        verdict=Verdict.FAIL,
        bundle=None,
        reports=tuple(ProfileReport(each.name, Verdict.FAIL, None, None, (candidate,), hint) for each in profiles),
        metric="nothing judged",
        guard=job.guard,
        source=job.source.path.name,
        parity={},
        samples=job.data.counts,
        measured_on=describe_machine(),
    )


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder for the way, gone afterwards; no room in it becomes one sentence."""
    try:
        with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
            yield Path(folder)
    except OSError as error:
        raise NotWritten(
            f"there is no room to work in {tempfile.gettempdir()}: {error.strerror or error}",
            "Make room there, or point TMPDIR to another folder.",
        ) from error


def _check(profiles: Sequence[Profile], climb: Climb) -> None:
    names = [profile.name for profile in profiles]
    if not names:
        raise BadInput("no hardware profile was given", "Name one or more with --profile.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"the profile {twice} was given twice", "Name each profile once.")
    idle = next((profile for profile in profiles if not climb.plans(profile)), None)
    if idle is not None:
        runs = ", ".join(SCHEMES[idle.engine, idle.accelerator])
        raise BadInput(
            f"{idle.name} runs none of the schemes {', '.join(each.scheme for each in climb.own)}",
            f"Give a recipe with one of {runs}, or leave the profile out.",
        )


def _manifest(
    job: Job, basis: Basis, variants: Sequence[Variant], model: ModelName, version: int, labels: Sequence[str]
) -> Manifest:
    return Manifest(
        model=model,
        version=version,
        created=_created(),
        task=basis.task,
        labels=tuple(labels),
        preprocessing=job.data.preprocessing,
        variants=tuple(variants),
        baseline=_baseline(variants[0].inputs[0].name, job.data, basis.answers),
        lineage=Lineage(
            source_digest=job.source.digest,
            source_name=job.source.path.name,
            tool_version=installed_version("edge-sdk"),
            data=job.data.digests,
            seed=job.seed,
        ),
    )


def _created() -> datetime:
    """Now; or the moment that `SOURCE_DATE_EPOCH` names (reproducible-builds.org), for manifests of the same bytes."""
    named = os.environ.get("SOURCE_DATE_EPOCH")
    if named is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(named), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadInput(
            f"SOURCE_DATE_EPOCH is {named!r}", "Give it the seconds since 1970 as a whole number, or unset it."
        ) from error


def _baseline(tensor: str, data: Data, answers: Answers | None) -> Baseline:
    """Inputs before preprocessing, and the source's own answers, over all evaluation data."""
    return Baseline(
        n=len(data.evaluation),
        features=make_baselines(tensor, data.evaluation.x),
        classes=answers.classes if answers else (),
        confidence=answers.confidence if answers else (),
    )


def _record(job: Job, outcome: Conversion, variants: Sequence[Variant], began: datetime, steps: Steps) -> Record:
    digests: dict[str, Digest] = {variant.profile: variant.recipe_digest for variant in variants}
    assert outcome.memory is not None
    return Record(
        source=Origin(job.source.path.name, job.source.kind, job.source.digest),
        data=Inputs(job.data.digests, outcome.samples),
        guard=job.guard,
        seed=job.seed,
        variants=tuple(
            VariantRecord(each.profile, each.taken, each.recipe, digests.get(each.profile), each.from_cache)
            for each in outcome.reports
        ),
        versions=library_versions(),
        code=code_digest(),
        settings=SETTINGS,
        machine=outcome.measured_on,
        began=began,
        steps=tuple(steps.taken),
        memory=outcome.memory,
        lessons=outcome.lessons,
    )


def _files(manifest: Manifest, made: Sequence[Made], outcome: Conversion, record: Record) -> dict[str, bytes]:
    files = {
        MANIFEST_FILE: write_manifest(manifest),
        REPORT_FILE: _json(as_json(outcome)),
        RECORD_FILE: _json(as_json(record)),
        PAGE_FILE: render(outcome, record),
    }
    for each in made:
        files |= each.files or {}
        files[f"{VARIANTS_FOLDER}/{each.report.variant}/{REPORT_FILE}"] = _json(as_json(each.report))
    return files


def _write_page(path: Path | None, outcome: Conversion, record: Record | None) -> None:
    if path is None:
        return
    try:
        path.write_bytes(render(outcome, record))
    except OSError as error:
        raise NotWritten(
            f"the report could not be written to {path}: {error.strerror}", "Name another file with --report."
        ) from error


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
