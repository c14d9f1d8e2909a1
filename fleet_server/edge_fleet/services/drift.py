"""Watches every cohort for drift: reads its windows, lets the domain find, and raises one alert for what it names."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from edge_contracts.manifest import Manifest, read_manifest
from edge_fleet.domain import drift
from edge_fleet.domain.drift import Finding, Stream
from edge_fleet.ports import Clock, Transactions
from edge_fleet.records.releases import ReleaseRow
from edge_fleet.services import alerts
from edge_fleet.services.alerts import AlertKind, Condition, Severity
from edge_fleet.services.changes import Changes
from edge_fleet.services.cohorts import Cohort, CohortWindows, Seen, input_streams, output_streams

EFFECT_NAME: Final = "bias-corrected PSI"
LARGEST_LOG_E: Final = 690.0
"""exp of more does not fit a float."""

HINTS: Final[dict[AlertKind, str]] = {
    AlertKind.INPUT_DRIFT: "Look at the sensor, its mounting and the pre-processing on the devices named; if the world "
    "has changed, collect samples and retrain.",
    AlertKind.OUTPUT_DRIFT: "Compare with the inputs: if they have not moved, what the model should answer may have; "
    "check it on labelled samples.",
}


class DriftWatch:
    """A background service."""

    name = "drift"

    def __init__(self, database: Transactions, clock: Clock, changes: Changes, period_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._period = period_seconds
        self._windows = CohortWindows()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        while not stop.wait(self._period):
            self.look()

    def look(self) -> None:
        """One round over the cohorts with new windows."""
        now = self._clock()
        with self._database.read() as session:
            conditions = [
                condition
                for cohort in sorted(self._windows.load_new(session, now), key=str)
                for condition in _conditions(session, cohort, self._windows.recent(cohort, now))
            ]
        if not conditions:
            return
        with self._database.write() as session:
            changed = [alerts.raise_alert(session, condition, now) for condition in conditions]
        if any(changed):
            self._changes.notify("alerts")


@dataclass(frozen=True)
class _Judged:
    kind: AlertKind
    stream: Stream
    finding: Finding


def _conditions(session: Session, cohort: Cohort, seen: Sequence[Seen]) -> list[Condition]:
    manifest = _manifest(session, cohort)
    if manifest is None or not seen:
        return []
    baseline = manifest.baseline_of({one.window.variant for one in seen})
    judged = [
        _Judged(kind, stream, finding)
        for kind, streams in (
            (AlertKind.INPUT_DRIFT, input_streams(baseline, seen)),
            (AlertKind.OUTPUT_DRIFT, output_streams(baseline, seen)),
        )
        for stream in streams
        if (finding := drift.find(stream)) is not None
    ]
    alarming = set(map(id, drift.alarms([one.finding for one in judged])))
    found = [one for one in judged if id(one.finding) in alarming]
    by_kind = ([one for one in found if one.kind is kind] for kind in alerts.DRIFT_KINDS)
    return [_condition(cohort, seen, of_kind) for of_kind in by_kind if of_kind]


def _condition(cohort: Cohort, seen: Sequence[Seen], found: Sequence[_Judged]) -> Condition:
    lead = max(found, key=lambda one: one.finding.psi)
    first = min(one.finding.since for one in found)
    since = seen[first].start
    devices = _devices(lead, seen)
    return Condition(
        topic=f"{lead.kind}/{cohort.model}/{cohort.version}/{cohort.profile}",
        kind=lead.kind,
        severity=Severity.CRITICAL if lead.finding.psi >= drift.LARGE_EFFECT else Severity.WARNING,
        model=cohort.model,
        version=cohort.version,
        since=since,
        message=_message(cohort, found, lead, since),
        hint=HINTS[lead.kind],
        devices=devices,
        group=lead.finding.group,
        features=tuple(sorted((one.finding.name for one in found), key=lambda name: (name != lead.finding.name, name))),
        effect_name=EFFECT_NAME,
        effect=lead.finding.psi,
        evidence=math.exp(min(lead.finding.log_e, LARGEST_LOG_E)),
    )


def _devices(lead: _Judged, seen: Sequence[Seen]) -> tuple[str, ...]:
    counts: dict[str, drift.Array] = {}
    for one, row in zip(seen[lead.finding.since :], lead.stream.windows[lead.finding.since :], strict=True):
        counts[one.device] = counts.get(one.device, np.zeros_like(row)) + row
    return drift.devices_past_gate(lead.stream, counts)


def _message(cohort: Cohort, found: Sequence[_Judged], lead: _Judged, since: datetime) -> str:
    what = "Inputs" if lead.kind is AlertKind.INPUT_DRIFT else "Answers"
    groups = list(dict.fromkeys(one.finding.group for one in sorted(found, key=lambda one: -one.finding.psi)))
    return (
        f"{what} of {cohort.model} {cohort.version} on {cohort.profile} have drifted since {since:%Y-%m-%d %H:%M:%S} "
        f"UTC: {', '.join(groups)} (most of all {lead.finding.name}, PSI {lead.finding.psi:.2f})"
    )


def _manifest(session: Session, cohort: Cohort) -> Manifest | None:
    row = session.get(ReleaseRow, (cohort.model, cohort.version))
    return None if row is None else _parsed(row.manifest)


@lru_cache(maxsize=64)
def _parsed(manifest: bytes) -> Manifest:
    return read_manifest(manifest)
