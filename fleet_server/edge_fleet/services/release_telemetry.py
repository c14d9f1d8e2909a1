"""What a release saw and answered in the last day, on each hardware profile, beside its signed baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edge_contracts.ids import ModelName, ProfileName
from edge_contracts.manifest import Manifest, read_manifest
from edge_contracts.window import LATENCY_BINS, latency_quantile
from edge_fleet.domain import drift
from edge_fleet.errors import NotFound
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.observations import WindowRow
from edge_fleet.records.releases import ReleaseRow
from edge_fleet.services import windows
from edge_fleet.services.cohorts import LOOK_BACK, Seen, input_streams, output_streams, seen_in

MOST_WINDOWS: Final = 512
"""Of each profile, the newest."""


@dataclass(frozen=True)
class StreamSummary:
    """One stream: shares of the live counts and of the baseline in each bin, and how far apart they are."""

    name: str
    group: str
    live: tuple[float, ...]
    baseline: tuple[float, ...]
    finding: drift.Finding | None

    @property
    def moved(self) -> bool:
        """Whether it would alarm if it were the only stream."""
        return self.finding is not None and bool(drift.alarms([self.finding]))


@dataclass(frozen=True)
class CohortTelemetry:
    """One hardware profile of the release. Latencies in milliseconds; `latency` counts in the window's bins."""

    profile: ProfileName
    devices: int
    windows: int
    inferences: int
    errors: int
    first: datetime
    last: datetime
    p50_ms: float
    p99_ms: float
    latency: tuple[int, ...]
    fallbacks: int
    inputs: tuple[StreamSummary, ...]
    answers: tuple[StreamSummary, ...]


@dataclass(frozen=True)
class ReleaseTelemetry:
    """A release and what came of it. `labels` are the names of its classes."""

    model: ModelName
    version: int
    published: datetime
    labels: tuple[str, ...]
    cohorts: tuple[CohortTelemetry, ...]


def release_telemetry(session: Session, model: ModelName, version: int, now: datetime) -> ReleaseTelemetry:
    """The last day of a release. Raises NotFound."""
    release = session.get(ReleaseRow, (model, version))
    if release is None:
        raise NotFound("release-unknown", f"There is no release {model} {version}", "See `edge-sdk releases list`.")
    manifest = read_manifest(release.manifest)
    profiles = session.scalars(
        select(DeviceRow.profile)
        .join(WindowRow, WindowRow.device == DeviceRow.id)
        .where(WindowRow.model == model, WindowRow.version == version, WindowRow.received > now - LOOK_BACK)
        .distinct()
        .order_by(DeviceRow.profile)
    ).all()
    found = [(profile, _windows(session, model, version, profile, now)) for profile in profiles]
    cohorts = tuple(_cohort(profile, seen, manifest) for profile, seen in found if seen)
    return ReleaseTelemetry(model, version, release.published, manifest.labels, cohorts)


def releases_with_inferences(session: Session, now: datetime) -> Sequence[tuple[ModelName, int, datetime, int]]:
    """Every release with what it inferred in the last day, the newest first."""
    query = (
        select(ReleaseRow.model, ReleaseRow.version, ReleaseRow.published, func.coalesce(func.sum(WindowRow.n), 0))
        .outerjoin(
            WindowRow,
            (WindowRow.model == ReleaseRow.model)
            & (WindowRow.version == ReleaseRow.version)
            & (WindowRow.received > now - LOOK_BACK),
        )
        .group_by(ReleaseRow.model, ReleaseRow.version, ReleaseRow.published)
        .order_by(ReleaseRow.published.desc())
        .limit(100)
    )
    return session.execute(query).tuples().all()


def _windows(session: Session, model: ModelName, version: int, profile: ProfileName, now: datetime) -> list[Seen]:
    query = (
        select(WindowRow)
        .join(DeviceRow, DeviceRow.id == WindowRow.device)
        .where(WindowRow.model == model, WindowRow.version == version, DeviceRow.profile == profile)
        .where(WindowRow.slot == "active", WindowRow.n > 0, WindowRow.received > now - LOOK_BACK)
        .order_by(WindowRow.id.desc())
        .limit(MOST_WINDOWS)
    )
    return [seen_in(row, windows.read(row)) for row in reversed(session.scalars(query).all())]


def _cohort(profile: ProfileName, seen: Sequence[Seen], manifest: Manifest) -> CohortTelemetry:
    baseline = manifest.baseline_of({one.window.variant for one in seen})
    latency = np.zeros(LATENCY_BINS, dtype=np.int64)
    for one in seen:
        latency += np.asarray(one.window.latency)
    counts = tuple(int(count) for count in latency)
    return CohortTelemetry(
        profile=profile,
        devices=len({one.device for one in seen}),
        windows=len(seen),
        inferences=sum(one.window.n for one in seen),
        errors=sum(one.window.errors for one in seen),
        first=min(one.start for one in seen),
        last=max(one.received for one in seen),
        p50_ms=latency_quantile(counts, 0.5) / 1000,
        p99_ms=latency_quantile(counts, 0.99) / 1000,
        latency=counts,
        fallbacks=len({one.device for one in seen if one.window.health.fallback}),
        inputs=tuple(_summary(stream) for stream in input_streams(baseline, seen)),
        answers=tuple(_summary(stream) for stream in output_streams(baseline, seen)),
    )


def _summary(stream: drift.Stream) -> StreamSummary:
    finding = drift.find(stream)
    baseline, live = stream.baseline, stream.windows
    if stream.edges is not None:
        baseline, live, _ = drift.possible_bins(stream)
    since = finding.since if finding is not None and finding.log_e > 0 else 0
    return StreamSummary(
        name=stream.name,
        group=stream.group,
        live=_shares(live[since:].sum(axis=0)),
        baseline=_shares(baseline),
        finding=finding,
    )


def _shares(counts: drift.Array) -> tuple[float, ...]:
    total = float(counts.sum())
    return tuple(float(count) / total for count in counts) if total else (0.0,) * len(counts)
