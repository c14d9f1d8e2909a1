"""Telemetry windows: kept as they came, once each; asked for by device and release."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.codec import decode, encode
from edge_contracts.operations import WindowView
from edge_contracts.window import TelemetryWindow
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.observations import WindowRow
from edge_fleet.records.releases import ReleaseRow
from edge_fleet.services import presence
from edge_fleet.services.changes import Kind
from edge_fleet.services.dropped import Dropped, moment, storable


def take(session: Session, device: DeviceRow, message: TelemetryWindow, now: datetime) -> Kind | None:
    """Keep the window; None if it was known."""
    start, end = moment(message.start), moment(message.end)
    storable(message.sequence, message.version, message.n, message.errors, *_counts(message))
    presence.seen(device, now)
    release = (ReleaseRow.model == message.model) & (ReleaseRow.version == message.version)
    if session.scalar(select(ReleaseRow.version).where(release)) is None:
        raise Dropped("unknown-release", f"{message.model} {message.version} was never published here")
    known = select(WindowRow.id).where(
        WindowRow.device == device.id, WindowRow.boot == message.boot, WindowRow.sequence == message.sequence
    )
    if session.scalar(known) is not None:
        return None
    session.add(
        WindowRow(
            device=device.id,
            boot=message.boot,
            sequence=message.sequence,
            model=message.model,
            version=message.version,
            variant=message.variant,
            slot=message.slot,
            start=start,
            end=end,
            n=message.n,
            errors=message.errors,
            received=now,
            body=encode(message),
        )
    )
    session.flush()
    return "telemetry"


def _counts(message: TelemetryWindow) -> Iterator[int]:
    yield from message.classes
    yield from message.confidence
    yield from message.latency
    for feature in message.features.values():
        yield from (feature.missing, feature.non_finite, feature.out_of_range, *feature.counts)


def read(row: WindowRow) -> TelemetryWindow:
    """The window as the device sent it."""
    return decode(TelemetryWindow, row.body)


def view(row: WindowRow) -> WindowView:
    """The window as people see it."""
    return WindowView(device=row.device, received=row.received, window=read(row))
