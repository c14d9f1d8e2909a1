"""What devices report of their deployments. It beats what the server believes, and counts once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.lifecycle import OUTCOMES
from edge_contracts.messages import DeploymentReport
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.rollouts import DeploymentReportRow, DeploymentRow
from edge_fleet.services import presence
from edge_fleet.services.changes import Kind
from edge_fleet.services.dropped import Dropped, moment, storable


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
    outcome = message.outcome or OUTCOMES.get(message.state)
    if outcome is None and _ended_by_device(row):
        return
    row.state, row.progress, row.updated = message.state, message.progress, now
    row.outcome, row.reason, row.detail = outcome, message.reason, message.detail
    row.open = outcome is None and _may_open(session, row)


def _ended_by_device(row: DeploymentRow) -> bool:
    """A device's last word stands; an end that the server had only assumed does not."""
    return row.outcome is not None and row.state is not None and OUTCOMES.get(row.state) is row.outcome


def _may_open(session: Session, row: DeploymentRow) -> bool:
    """A device that the server had given up works on; a newer deployment of the device keeps its place."""
    query = select(DeploymentRow.id).where(
        DeploymentRow.device == row.device, DeploymentRow.open, DeploymentRow.id != row.id
    )
    return session.scalar(query) is None
