"""The conversion: a source model, profiles and data in; a bundle out, or the reasons why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from edge_converters import explanations
from edge_converters.bundles import check_place
from edge_converters.cache import Cache
from edge_converters.datasets import Data, digest_of
from edge_converters.delivery import record_of, write, write_page
from edge_converters.errors import BadInput
from edge_converters.firmware import with_library
from edge_converters.guard import Verdict
from edge_converters.identity import Identity, name_of
from edge_converters.job import Job, Method, Proof
from edge_converters.ladder import Climb
from edge_converters.machine import describe_machine
from edge_converters.measures import ask
from edge_converters.memory import Meter
from edge_converters.outcomes import Basis, Outcome
from edge_converters.progress import OnStep, Steps, silent
from edge_converters.reports import Candidate, Conversion, ProfileReport, worst
from edge_converters.resemblance import Mismatch, compare
from edge_converters.shelf import Shelf
from edge_converters.sources import recognise
from edge_converters.training import check_trainable
from edge_profiles.profile import Profile
from edge_profiles.schemes import SCHEMES


def convert(
    source: Path,
    profiles: Sequence[Profile],
    data: Data,
    *,
    output: Path,
    identity: Identity | None = None,
    proof: Proof | None = None,
    method: Method | None = None,
    page: Path | None = None,
    cache: Cache | None = None,
    on_step: OnStep = silent,
) -> Conversion:
    """One variant for each profile, proven against the float source, written as a bundle to `output`.

    The bundle is written if every profile passes; otherwise nothing is, and the outcome says why. The libraries run in
    a process of its own for each conversion: TensorFlow numbers names by what it did before, and the same input shall
    give the same bytes. Without `identity` the model is called after its file. The report for people is in the bundle
    and, whatever the verdict, in the file `page` if it is given. What is in `cache` is not made again.

    Raises:
        BadInput: source, data or arguments are not usable.
        BackendMissing: a library is not installed.
        NotConvertible: the source reaches none of the formats.
        CheckFailed: a float conversion differs from its source.
        NotWritten: no room or permission for the output.
    """
    began = datetime.now(UTC)
    check_place(output)
    identity = identity or Identity(name_of(source))
    job = _job(source, profiles, data, proof or Proof(), method or Method(), identity)
    mismatch = compare(data.calibration.x, data.evaluation.x)
    if mismatch is not None and mismatch.gross:
        refused = _refused(job, profiles, mismatch.sentence)
        if page is not None:
            write_page(page, refused, None)
        return refused
    steps, meter = Steps(on_step), Meter()
    basis, outcomes = _outcomes(job, profiles, Shelf(cache, job), steps, meter)
    steps.begin("writing the bundle")
    named = [_named(each, profile, identity) for each, profile in zip(outcomes, profiles, strict=True)]
    outcome = _told(job, profiles, named, basis, meter, mismatch)
    made = [each.made for each in named]
    record = record_of(job, outcome, made, began, steps.taken)
    if outcome.verdict is Verdict.PASS:
        outcome = write(output, job, identity, basis, made, outcome, record)
    if page is not None:
        write_page(page, outcome, record)
    steps.finish()
    return outcome


def _job(
    source: Path, profiles: Sequence[Profile], data: Data, proof: Proof, method: Method, identity: Identity
) -> Job:
    """What is asked for, if it can be done, as far as can be told before anything runs."""
    opened = recognise(source)
    _check(profiles, method.climb)
    if method.training is not None:
        check_trainable(opened)
        data = replace(data, digests=data.digests | {"training": digest_of(method.training.samples)})
    return Job(opened, data, proof.guard, ask(proof.metric, proof.costs, identity.labels), method)


def _outcomes(
    job: Job, profiles: Sequence[Profile], shelf: Shelf, steps: Steps, meter: Meter
) -> tuple[Basis, list[Outcome]]:
    """From the shelf; what is not there is made."""
    found = {profile.name: shelf.find(profile) for profile in profiles}
    known: dict[str, Outcome] = {name: each for name, each in found.items() if each is not None}
    basis, missing = shelf.basis(), [profile for profile in profiles if profile.name not in known]
    steps.expect(len(missing) + (2 if missing else 1) + bool(missing and job.method.training))
    if basis is None or missing:
        from edge_converters.production import produce  # of its many modules the cache needs none

        basis, made = produce(job, missing, shelf, steps, meter)
        known |= made
    return basis, [known[profile.name] for profile in profiles]


def _named(outcome: Outcome, profile: Profile, identity: Identity) -> Outcome:
    """With what bears the model's name: no part of what is kept, which is the same under any name."""
    return replace(outcome, made=with_library(outcome.made, profile, identity))


def _told(
    job: Job,
    profiles: Sequence[Profile],
    outcomes: Sequence[Outcome],
    basis: Basis,
    meter: Meter,
    mismatch: Mismatch | None,
) -> Conversion:
    sizes = [each.float_bytes for each in outcomes if each.kept is None]
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
        remarks=(*_likeness(mismatch), *job.data.remarks, *filter(None, [basis.doubt])),
    )


def _likeness(mismatch: Mismatch | None) -> Iterator[str]:
    if mismatch is not None:
        yield f"{mismatch.sentence}."


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
