"""Devices at the operator door: listed, looked at, shut out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter

from edge_contracts.ids import DeviceId
from edge_contracts.operations import DeviceView
from edge_fleet.api.access import Enroller, Reader, TheFleet
from edge_fleet.api.pages import Cursor, Limit, Page, page, read_cursor
from edge_fleet.fleet import Fleet
from edge_fleet.services import devices

router: Final = APIRouter(prefix="/v1/devices", tags=["devices"])


@router.get("")
def list_devices(parts: TheFleet, _operator: Reader, limit: Limit = 100, cursor: Cursor = None) -> Page[DeviceView]:
    """Every device, by id."""
    after = read_cursor(cursor, str)
    with parts.database.read() as session:
        views = devices.list_devices(session, after[0] if after else None, limit + 1, _silent_before(parts))
    return page(views, limit, lambda view: view, lambda view: (view.id,))


@router.get("/{device}")
def show_device(parts: TheFleet, _operator: Reader, device: DeviceId) -> DeviceView:
    """One device as last reported."""
    with parts.database.read() as session:
        return devices.show_device(session, device, _silent_before(parts))


@router.post("/{device}/revoke")
def revoke_device(parts: TheFleet, operator: Enroller, device: DeviceId) -> DeviceView:
    """Shut the device out of broker and door; it gets no key any more."""
    parts.enrolment.revoke(device, operator.name)
    with parts.database.read() as session:
        return devices.show_device(session, device, _silent_before(parts))


def _silent_before(parts: Fleet) -> datetime:
    return parts.clock() - timedelta(seconds=parts.settings.rhythm.silent_after_seconds)
