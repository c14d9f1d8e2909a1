"""Telemetry windows at the operator door."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlalchemy import select

from edge_contracts.ids import DeviceId, ModelName
from edge_contracts.operations import WindowView
from edge_contracts.wire import Utc
from edge_fleet.api.access import Reader, TheFleet
from edge_fleet.api.pages import Cursor, Limit, Page, page, read_cursor
from edge_fleet.records.observations import WindowRow
from edge_fleet.services import windows

router: Final = APIRouter(prefix="/v1/telemetry", tags=["telemetry"])


@router.get("")
def list_windows(
    fleet: TheFleet,
    _operator: Reader,
    device: DeviceId | None = None,
    model: ModelName | None = None,
    version: Annotated[int | None, Query(ge=1)] = None,
    since: Annotated[Utc | None, Query(description="Windows that end after this time")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[WindowView]:
    """Windows that fit every given condition, the latest received first."""
    query = select(WindowRow).order_by(WindowRow.id.desc()).limit(limit + 1)
    for column, wanted in ((WindowRow.device, device), (WindowRow.model, model), (WindowRow.version, version)):
        if wanted is not None:
            query = query.where(column == wanted)
    if since is not None:
        query = query.where(WindowRow.end > since)
    after = read_cursor(cursor, int)
    if after is not None:
        query = query.where(WindowRow.id < after[0])
    with fleet.database.read() as session:
        rows = session.scalars(query).all()
    return page(rows, limit, windows.view, lambda row: (row.id,))
