"""The conversion: a source model, profiles and data in; a bundle out, or the reasons why there is none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

from edge_contracts.features import make_baselines
from edge_contracts.ids import ModelName
from edge_contracts.manifest import MANIFEST_FILE, Baseline, Lineage, Manifest, Variant, write_manifest
from edge_converters.answers import count_answers
from edge_converters.bundles import REPORT_FILE, VARIANTS_FOLDER, check_place, write_bundle
from edge_converters.datasets import Data
from edge_converters.drafts import Workshop
from edge_converters.errors import BadInput, NotWritten
from edge_converters.floats import Floats, prepare
from edge_converters.guard import Guard, Verdict
from edge_converters.machine import describe_machine
from edge_converters.metrics import Metric, choose_metric
from edge_converters.reports import Conversion, as_json, worst
from edge_converters.sources import Source, recognise
from edge_converters.variants import Made, make_variant
from edge_converters.workers import Worker
from edge_profiles.profile import Profile

OnStep = Callable[[str, int, int], None]
"""Called before each step with what is done now, how many steps are done, and how many there are."""


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


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
    seed: int = 0,
    on_step: OnStep = silent,
) -> Conversion:
    """One variant for each profile, proven against the float source, written as a bundle to `output`.

    The bundle is written if every profile passes; otherwise nothing is, and the outcome says why. The
    libraries run in a process of its own for each conversion: TensorFlow numbers names by what it did before, and the
    same input shall give the same bytes.

    Raises:
        BadInput: source, data or arguments are not usable.
        BackendMissing: a library is not installed.
        NotConvertible: the source reaches none of the formats.
        CheckFailed: a float conversion differs from its source.
        NotWritten: no room or permission for the output.
    """
    check_place(output)
    opened = recognise(source)
    _check(profiles)
    guard = guard or Guard()
    total = len(profiles) + 2
    on_step("reading the source and proving the float conversions", 0, total)
    formats = tuple(dict.fromkeys(profile.format for profile in profiles))
    with _workplace() as folder, Worker() as worker:
        floats = prepare(opened, data, formats, folder, worker, seed)
        metric = choose_metric(floats.reference, data.evaluation.y, tuple(data.evaluation.x.shape[1:]), len(labels))
        shop = Workshop(data, floats, metric, guard, worker)
        made = []
        for done, profile in enumerate(profiles, start=1):
            on_step(f"{profile.name}: {', then '.join(profile.schemes)}", done, total)
            made.append(make_variant(profile, shop))
    outcome = Conversion(
        verdict=worst([each.report.verdict for each in made]),
        bundle=None,
        reports=tuple(each.report for each in made),
        metric=metric.name,
        guard=guard,
        source=opened.path.name,
        parity={str(target): difference for target, difference in floats.parity.items()},
        samples={
            "calibration": len(data.calibration),
            "ranking": len(data.ranking_rows),
            "decision": len(data.decision_rows),
        },
        measured_on=describe_machine(),
    )
    on_step("writing the bundle", total - 1, total)
    if outcome.verdict is Verdict.PASS:
        outcome = replace(outcome, bundle=output)
        manifest = _manifest(opened, data, floats, metric, made, model, version, labels, seed)
        write_bundle(output, _files(manifest, made, outcome))
    on_step("done", total, total)
    return outcome


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


def _check(profiles: Sequence[Profile]) -> None:
    names = [profile.name for profile in profiles]
    if not names:
        raise BadInput("no hardware profile was given", "Name one or more with --profile.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"the profile {twice} was given twice", "Name each profile once.")


def _manifest(
    source: Source,
    data: Data,
    floats: Floats,
    metric: Metric,
    made: Sequence[Made],
    model: ModelName,
    version: int,
    labels: Sequence[str],
    seed: int,
) -> Manifest:
    variants: tuple[Variant, ...] = tuple(each.variant for each in made if each.variant is not None)
    return Manifest(
        model=model,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        task=metric.task,
        labels=tuple(labels),
        preprocessing=data.preprocessing,
        variants=variants,
        baseline=_baseline(variants[0].inputs[0].name, data, floats, metric),
        lineage=Lineage(
            source_digest=source.digest,
            source_name=source.path.name,
            tool_version=installed_version("edge-sdk"),
            data=data.digests,
            seed=seed,
        ),
    )


def _baseline(tensor: str, data: Data, floats: Floats, metric: Metric) -> Baseline:
    """Inputs before preprocessing, and the source's own answers, over all evaluation data."""
    answers = count_answers(metric, floats.reference)
    return Baseline(
        n=len(data.evaluation),
        features=make_baselines(tensor, data.evaluation.x),
        classes=answers.classes if answers else (),
        confidence=answers.confidence if answers else (),
    )


def _files(manifest: Manifest, made: Sequence[Made], outcome: Conversion) -> dict[str, bytes]:
    files = {MANIFEST_FILE: write_manifest(manifest), REPORT_FILE: _json(as_json(outcome))}
    for each in made:
        files |= each.files or {}
        files[f"{VARIANTS_FOLDER}/{each.report.variant}/{REPORT_FILE}"] = _json(as_json(each.report))
    return files


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
