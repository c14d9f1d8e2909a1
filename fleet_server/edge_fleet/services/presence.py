"""Where a device stands: births, heartbeats and deaths write it into the device's row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from edge_contracts.messages import Birth, Death, Heartbeat
from edge_fleet.records.identities import DeviceRow
from edge_fleet.services.changes import Kind
from edge_fleet.services.dropped import storable


def seen(row: DeviceRow, now: datetime) -> None:
    """Any live message is a sign of life."""
    row.connected, row.last_seen = True, now


def birth(_session: Session, row: DeviceRow, message: Birth, now: datetime) -> Kind:
    """The device has connected."""
    seen(row, now)
    return remembered_birth(row, message)


def remembered_birth(row: DeviceRow, message: Birth) -> Kind:
    """What the device last said of itself when it connected."""
    row.boot, row.agent_version, row.engines = message.boot, message.agent_version, message.engines
    row.state, row.running = message.state, message.running
    return "devices"


def heartbeat(_session: Session, row: DeviceRow, message: Heartbeat, now: datetime) -> Kind:
    """Only the latest counts."""
    storable(message.rss_bytes, message.inferences, message.spool_bytes)
    seen(row, now)
    row.boot, row.state, row.running = message.boot, message.state, message.running
    row.rss_bytes, row.inferences, row.spool_bytes = message.rss_bytes, message.inferences, message.spool_bytes
    return "devices"


def death(_session: Session, row: DeviceRow, message: Death, _now: datetime) -> Kind | None:
    """The broker has lost the device. The will of an earlier boot says nothing about the present one."""
    if row.boot not in {None, message.boot}:
        return None
    row.connected = False
    return "devices"
