"""The files that a conversion leaves: the bundle with its manifest, reports and record, and the page by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

from edge_contracts.features import make_baselines
from edge_contracts.ids import Digest
from edge_contracts.manifest import MANIFEST_FILE, Answers, Baseline, Lineage, Manifest, Variant, write_manifest
from edge_converters.bundles import REPORT_FILE, VARIANTS_FOLDER, write_bundle
from edge_converters.datasets import Data
from edge_converters.errors import BadInput, NotWritten
from edge_converters.identity import Identity
from edge_converters.job import Job
from edge_converters.outcomes import Basis, Made
from edge_converters.page.rendering import PAGE_FILE, render
from edge_converters.progress import Step
from edge_converters.provenance import code_digest, library_versions
from edge_converters.record import RECORD_FILE, Inputs, Origin, Record, VariantRecord
from edge_converters.reports import Conversion, as_json
from edge_converters.workers import SETTINGS


def write(
    path: Path, job: Job, identity: Identity, basis: Basis, made: Sequence[Made], outcome: Conversion, record: Record
) -> Conversion:
    """`outcome`, with the bundle that was written to `path`.

    Raises:
        NotWritten: as `bundles.write_bundle`.
    """
    outcome = replace(outcome, bundle=path)
    files = {
        MANIFEST_FILE: write_manifest(_manifest(job, basis, _shipped(made), identity)),
        REPORT_FILE: _json(as_json(outcome)),
        RECORD_FILE: _json(as_json(record)),
        PAGE_FILE: render(outcome, record),
    }
    for each in made:
        files |= each.files or {}
        files[f"{VARIANTS_FOLDER}/{each.report.variant}/{REPORT_FILE}"] = _json(as_json(each.report))
    write_bundle(path, files)
    return outcome


def write_page(path: Path, outcome: Conversion, record: Record | None) -> None:
    """The report for people alone; `record` is None where nothing was made.

    Raises:
        NotWritten: no room or permission.
    """
    try:
        path.write_bytes(render(outcome, record))
    except OSError as error:
        raise NotWritten(
            f"the report could not be written to {path}: {error.strerror}", "Name another file with --report."
        ) from error


def record_of(job: Job, outcome: Conversion, made: Sequence[Made], began: datetime, steps: Sequence[Step]) -> Record:
    """What the conversion depended on and what it took."""
    digests: dict[str, Digest] = {variant.profile: variant.recipe_digest for variant in _shipped(made)}
    assert outcome.memory is not None
    return Record(
        source=Origin(job.source.path.name, job.source.kind, job.source.digest),
        data=Inputs(job.data.digests, outcome.samples),
        guard=job.guard,
        seed=job.method.seed,
        variants=tuple(
            VariantRecord(each.profile, each.taken, each.recipe, digests.get(each.profile), each.from_cache)
            for each in outcome.reports
        ),
        versions=library_versions(),
        code=code_digest(),
        settings=SETTINGS,
        machine=outcome.measured_on,
        began=began,
        steps=tuple(steps),
        memory=outcome.memory,
        lessons=outcome.lessons,
    )


def _shipped(made: Sequence[Made]) -> list[Variant]:
    return [each.variant for each in made if each.variant is not None]


def _manifest(job: Job, basis: Basis, variants: Sequence[Variant], identity: Identity) -> Manifest:
    return Manifest(
        model=identity.model,
        version=identity.version,
        created=_created(),
        task=basis.task,
        labels=identity.labels,
        preprocessing=job.data.preprocessing,
        variants=tuple(variants),
        baseline=_baseline(variants[0].inputs[0].name, job.data, basis.answers),
        lineage=Lineage(
            source_digest=job.source.digest,
            source_name=job.source.path.name,
            tool_version=installed_version("edge-sdk"),
            data=job.data.digests,
            seed=job.method.seed,
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


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
