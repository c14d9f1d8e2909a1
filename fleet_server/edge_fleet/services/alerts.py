"""Alerts as rows: at most one open alert for each condition, brought up to date while it lasts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import DeviceId, ModelName
from edge_contracts.operations import AlertView
from edge_fleet.errors import NotFound
from edge_fleet.records.observations import AlertRow
from edge_fleet.services import audit


class AlertKind(StrEnum):
    """What an alert is about."""

    INPUT_DRIFT = "input-drift"
    OUTPUT_DRIFT = "output-drift"
    ROLLOUT_HALTED = "rollout-halted"


class Severity(StrEnum):
    """How much it presses."""

    WARNING = "warning"
    CRITICAL = "critical"


DRIFT_KINDS: Final = (AlertKind.INPUT_DRIFT, AlertKind.OUTPUT_DRIFT)


@dataclass(frozen=True)
class Condition:
    """What was found. `topic` names the one condition, whenever and however often it is found."""

    topic: str
    kind: AlertKind
    severity: Severity
    model: ModelName
    version: int
    since: datetime
    message: str
    hint: str
    devices: tuple[str, ...] = ()
    group: str | None = None
    features: tuple[str, ...] = ()
    effect_name: str | None = None
    effect: float | None = None
    evidence: float | None = None


def raise_alert(session: Session, found: Condition, now: datetime) -> bool:
    """Open an alert, or bring the open one of this topic up to date. True if anything a person sees has changed.

    `since` of an open alert stays the earliest. What a person has acknowledged is not raised again while it lasts:
    only a condition that began after the acknowledged alert was raised is news.
    """
    row = session.scalar(select(AlertRow).where(AlertRow.topic == found.topic, ~AlertRow.acknowledged))
    if row is None:
        if _known(session, found):
            return False
        row = AlertRow(id=f"a-{secrets.token_hex(6)}", raised=now, acknowledged=False, **vars(found))
        session.add(row)
        audit.record(session, now, "server", "alert.raise", row.id, found.message)
        return True
    before = _visible(row)
    for name, value in vars(found).items():
        setattr(row, name, value if name != "since" else min(row.since, found.since))
    return _visible(row) != before


def acknowledge(session: Session, alert: str, actor: str, now: datetime) -> AlertRow:
    """The alert is known to a person and closed; found again, the condition opens a new one. Idempotent.

    Raises:
        NotFound: no such alert.
    """
    row = session.get(AlertRow, alert)
    if row is None:
        raise NotFound("alert-unknown", f"There is no alert {alert}", "See `edge-sdk alerts list`.")
    if not row.acknowledged:
        row.acknowledged, row.acknowledged_by = True, actor
        audit.record(session, now, actor, "alert.acknowledge", row.id, row.message)
    return row


def view(row: AlertRow) -> AlertView:
    """The alert as people see it."""
    return AlertView(
        id=row.id,
        kind=row.kind,
        severity=row.severity,
        model=row.model,
        version=row.version,
        devices=tuple(DeviceId(device) for device in row.devices),
        group=row.group,
        features=row.features,
        effect_name=row.effect_name,
        effect=row.effect,
        evidence=row.evidence,
        since=row.since,
        raised=row.raised,
        message=row.message,
        hint=row.hint,
        acknowledged=row.acknowledged,
    )


def _known(session: Session, found: Condition) -> bool:
    query = select(AlertRow.id).where(AlertRow.topic == found.topic, AlertRow.acknowledged)
    return session.scalar(query.where(AlertRow.raised >= found.since).limit(1)) is not None


def _visible(row: AlertRow) -> tuple[object, ...]:
    return row.severity, row.message, tuple(row.devices), row.group, tuple(row.features)
