"""The record of deeds: one row for each change, chained by digests so that a changed or missing row shows."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_fleet.records.identities import AuditRow

_START: Final = "0" * 64


def record(session: Session, at: datetime, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Add a row in the caller's (write) transaction: the deed and its record are committed together."""
    before = session.scalar(select(AuditRow.digest).order_by(AuditRow.id.desc()).limit(1)) or _START
    row = AuditRow(at=at, actor=actor, action=action, subject=subject[:256], detail=detail)
    row.digest = _digest(before, row)
    session.add(row)
    session.flush()


def first_broken_row(session: Session) -> int | None:
    """The id of the first row that does not follow from the one before it; None if the chain is whole."""
    before = _START
    for row in session.scalars(select(AuditRow).order_by(AuditRow.id)).yield_per(1000):
        if row.digest != _digest(before, row):
            return row.id
        before = row.digest
    return None


def _digest(before: str, row: AuditRow) -> str:
    at = row.at.astimezone(UTC).isoformat()
    fields = [before, at, row.actor, row.action, row.subject, row.detail]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()
