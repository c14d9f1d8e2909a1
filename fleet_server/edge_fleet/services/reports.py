"""What devices report of their deployments. It beats what the server believes, and counts once."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from edge_contracts.lifecycle import OUTCOMES, Outcome
from edge_contracts.messages import DeploymentReport
from edge_contracts.reasons import REASONS, Retry
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.rollouts import DeploymentReportRow, DeploymentRow
from edge_fleet.services import presence
from edge_fleet.services.changes import Kind
from edge_fleet.services.dropped import Dropped, moment, storable

MOST_TRIES: Final = 5
"""As often as an agent tries an assignment by itself."""


def take(session: Session, device: DeviceRow, message: DeploymentReport, now: datetime) -> Kind | None:
    """Keep the report and bring the deployment up to date; None if it was known."""
    at = moment(message.at)
    storable(message.sequence, message.version)
    presence.seen(device, now)
    row = session.get(DeploymentRow, message.deployment)
    if row is None or row.device != device.id:
        raise Dropped("unknown-deployment", f"{message.deployment} is not a deployment of {device.id}")
    if _known(session, device, message):
        return None
    late = _is_late(session, message)
    session.add(
        DeploymentReportRow(
            device=device.id,
            boot=message.boot,
            sequence=message.sequence,
            deployment=message.deployment,
            at=at,
            received=now,
            state=message.state,
            outcome=message.outcome,
            reason=message.reason,
            detail=message.detail,
        )
    )
    session.flush()
    if late:
        return None
    device.state = message.state
    _apply(session, row, message, now)
    return "rollouts"


def _known(session: Session, device: DeviceRow, message: DeploymentReport) -> bool:
    query = select(DeploymentReportRow.id).where(
        DeploymentReportRow.device == device.id,
        DeploymentReportRow.boot == message.boot,
        DeploymentReportRow.sequence == message.sequence,
    )
    return session.scalar(query) is not None


def _is_late(session: Session, message: DeploymentReport) -> bool:
    """Whether a later report of the same boot has been applied already."""
    query = select(DeploymentReportRow.id).where(
        DeploymentReportRow.deployment == message.deployment,
        DeploymentReportRow.boot == message.boot,
        DeploymentReportRow.sequence > message.sequence,
    )
    return session.scalar(query.limit(1)) is not None


def _apply(session: Session, row: DeploymentRow, message: DeploymentReport, now: datetime) -> None:
    if message.outcome is None and _is_over(row):
        return
    tries_again = message.outcome is Outcome.FAILED and _tries_again(session, message)
    row.state, row.progress, row.updated = message.state, message.progress, now
    row.outcome, row.reason, row.detail = None if tries_again else message.outcome, message.reason, message.detail
    row.open = row.outcome is None and _may_open(session, row)


def _is_over(row: DeploymentRow) -> bool:
    """A device's last word stands; an end that the server had only assumed does not."""
    return row.outcome is not None and row.state is not None and OUTCOMES.get(row.state) is row.outcome


def _tries_again(session: Session, message: DeploymentReport) -> bool:
    """Whether the device will try the same again by itself: a failure of transport, space or leisure is not the
    release's, until it has happened MOST_TRIES times."""
    if message.reason is None or REASONS[message.reason].retry is not Retry.BACKOFF:
        return False
    query = (
        select(func.count())
        .select_from(DeploymentReportRow)
        .where(DeploymentReportRow.deployment == message.deployment, DeploymentReportRow.outcome == Outcome.FAILED)
    )
    return (session.scalar(query) or 0) < MOST_TRIES


def _may_open(session: Session, row: DeploymentRow) -> bool:
    """A device that the server had given up works on; a newer deployment of the device keeps its place."""
    query = select(DeploymentRow.id).where(
        DeploymentRow.device == row.device, DeploymentRow.open, DeploymentRow.id != row.id
    )
    return session.scalar(query) is None
