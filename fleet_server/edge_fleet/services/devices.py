"""Devices as operators see them: the list, one of them, and whether it is heard of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import DeviceId
from edge_contracts.operations import DeviceStatus, DeviceView
from edge_fleet.errors import NotFound
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.rollouts import DeploymentRow


def show_device(session: Session, device: DeviceId, silent_before: datetime) -> DeviceView:
    """One device. Raises NotFound."""
    row = session.get(DeviceRow, device)
    if row is None:
        raise NotFound("device-unknown", f"There is no device {device}", "See `edge-sdk devices list`.")
    return view_devices(session, [row], silent_before)[0]


def list_devices(session: Session, after: str | None, limit: int, silent_before: datetime) -> list[DeviceView]:
    """Devices by id, those after `after`."""
    wanted = select(DeviceRow).order_by(DeviceRow.id).limit(limit)
    if after is not None:
        wanted = wanted.where(DeviceRow.id > after)
    return view_devices(session, session.scalars(wanted).all(), silent_before)


def view_devices(session: Session, rows: Sequence[DeviceRow], silent_before: datetime) -> list[DeviceView]:
    """Rows as operators see them, each with the rollout that holds it. Not heard of since `silent_before`: silent."""
    ids = [row.id for row in rows]
    held = select(DeploymentRow.device, DeploymentRow.rollout).where(DeploymentRow.device.in_(ids), DeploymentRow.open)
    rollouts = dict(session.execute(held).tuples().all())
    return [_view(row, rollouts.get(row.id), silent_before) for row in rows]


def status(row: DeviceRow, silent_before: datetime) -> DeviceStatus:
    """How the server sees a device."""
    if row.revoked is not None:
        return DeviceStatus.REVOKED
    if row.last_seen is None:
        return DeviceStatus.NEVER_SEEN
    return DeviceStatus.ONLINE if row.connected and row.last_seen >= silent_before else DeviceStatus.SILENT


def _view(row: DeviceRow, rollout: str | None, silent_before: datetime) -> DeviceView:
    return DeviceView(
        id=row.id,
        profile=row.profile,
        status=status(row, silent_before),
        labels=row.labels,
        enrolled=row.enrolled,
        last_seen=row.last_seen,
        state=row.state,
        running=row.running,
        agent_version=row.agent_version,
        engines=row.engines,
        rollout=rollout,
        rss_bytes=row.rss_bytes,
        inferences=row.inferences,
    )
