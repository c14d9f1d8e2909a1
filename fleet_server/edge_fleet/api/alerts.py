"""Alerts at the operator door."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path
from sqlalchemy import and_, or_, select

from edge_contracts.operations import AlertView
from edge_fleet.api.access import Deployer, Reader, TheFleet
from edge_fleet.api.pages import Cursor, Limit, Page, page, read_time_cursor
from edge_fleet.records.observations import AlertRow
from edge_fleet.services import alerts

router: Final = APIRouter(prefix="/v1/alerts", tags=["alerts"])


@router.get("")
def list_alerts(
    fleet: TheFleet, _operator: Reader, acknowledged: bool | None = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[AlertView]:
    """Every alert, the newest first; `acknowledged=false` leaves the open ones."""
    query = select(AlertRow).order_by(AlertRow.raised.desc(), AlertRow.id.desc()).limit(limit + 1)
    if acknowledged is not None:
        query = query.where(AlertRow.acknowledged == acknowledged)
    after = read_time_cursor(cursor)
    if after is not None:
        at, last = after
        query = query.where(or_(AlertRow.raised < at, and_(AlertRow.raised == at, AlertRow.id < last)))
    with fleet.database.read() as session:
        rows = session.scalars(query).all()
    return page(rows, limit, alerts.view, lambda row: (row.raised.isoformat(), row.id))


@router.post("/{alert}/acknowledge")
def acknowledge_alert(fleet: TheFleet, operator: Deployer, alert: Annotated[str, Path(max_length=64)]) -> AlertView:
    """Somebody looks after it. A rollout held by it may go on."""
    with fleet.database.write() as session:
        row = alerts.acknowledge(session, alert, operator.name, fleet.clock())
    fleet.changes.notify("alerts", "audit")
    return alerts.view(row)
