"""The record of deeds at the operator door."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from sqlalchemy import select

from edge_contracts.operations import AuditView
from edge_fleet.api.access import Reader, TheFleet
from edge_fleet.api.pages import Cursor, Limit, Page, page, read_cursor
from edge_fleet.records.identities import AuditRow

router: Final = APIRouter(tags=["audit"])


@router.get("/v1/audit")
def list_audit(parts: TheFleet, _operator: Reader, limit: Limit = 100, cursor: Cursor = None) -> Page[AuditView]:
    """Who did what, the latest first."""
    before = read_cursor(cursor, int)
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit + 1)
    if before:
        query = query.where(AuditRow.id < before[0])
    with parts.database.read() as session:
        rows = session.scalars(query).all()
    return page(rows, limit, _view, lambda row: (row.id,))


def _view(row: AuditRow) -> AuditView:
    return AuditView(at=row.at, actor=row.actor, action=row.action, subject=row.subject, detail=row.detail)
