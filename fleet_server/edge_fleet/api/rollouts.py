"""Rollouts at the operator door: made, listed, looked into, moved by verbs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Path
from sqlalchemy import and_, or_, select
from starlette.status import HTTP_201_CREATED

from edge_contracts.operations import DeploymentView, NewRollout, RolloutView
from edge_fleet.api.access import Deployer, Reader, TheFleet
from edge_fleet.api.pages import Cursor, Limit, Page, page, read_cursor, read_time_cursor
from edge_fleet.domain.rollouts import Verb
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services import rollouts, tallies

router: Final = APIRouter(prefix="/v1/rollouts", tags=["rollouts"])

RolloutId = Annotated[str, Path(max_length=64)]


class OperatorVerb(StrEnum):
    """What an operator may do to a rollout."""

    START = Verb.START.value
    PAUSE = Verb.PAUSE.value
    RESUME = Verb.RESUME.value
    ABORT = Verb.ABORT.value
    ROLL_BACK = Verb.ROLL_BACK.value


@router.post("", status_code=HTTP_201_CREATED)
def create_rollout(fleet: TheFleet, operator: Deployer, plan: NewRollout) -> RolloutView:
    """A new rollout; it starts at once unless `start` is false."""
    with fleet.database.write() as session:
        row = rollouts.create(session, fleet.assignments, plan, operator.name, fleet.clock())
        view = tallies.view(session, row)
    fleet.changes.notify("rollouts", "audit")
    return view


@router.get("")
def list_rollouts(fleet: TheFleet, _operator: Reader, limit: Limit = 100, cursor: Cursor = None) -> Page[RolloutView]:
    """Every rollout, the newest first."""
    query = select(RolloutRow).order_by(RolloutRow.created.desc(), RolloutRow.id.desc()).limit(limit + 1)
    after = read_time_cursor(cursor)
    if after is not None:
        at, last = after
        query = query.where(or_(RolloutRow.created < at, and_(RolloutRow.created == at, RolloutRow.id < last)))
    with fleet.database.read() as session:
        rows = session.scalars(query).all()
        return page(rows, limit, lambda row: tallies.view(session, row), lambda row: (row.created.isoformat(), row.id))


@router.get("/{rollout}")
def show_rollout(fleet: TheFleet, _operator: Reader, rollout: RolloutId) -> RolloutView:
    """One rollout with its waves."""
    with fleet.database.read() as session:
        return tallies.view(session, rollouts.find(session, rollout))


@router.get("/{rollout}/deployments")
def list_deployments(
    fleet: TheFleet, _operator: Reader, rollout: RolloutId, limit: Limit = 100, cursor: Cursor = None
) -> Page[DeploymentView]:
    """Each device's share of the rollout, by wave. A device that was taken back has two."""
    query = (
        select(DeploymentRow)
        .where(DeploymentRow.rollout == rollout)
        .order_by(DeploymentRow.wave, DeploymentRow.id)
        .limit(limit + 1)
    )
    after = read_cursor(cursor, int, str)
    if after is not None:
        wave, last = after
        query = query.where(or_(DeploymentRow.wave > wave, and_(DeploymentRow.wave == wave, DeploymentRow.id > last)))
    with fleet.database.read() as session:
        rollouts.find(session, rollout)
        rows = session.scalars(query).all()
    return page(rows, limit, deployment_view, lambda row: (row.wave, row.id))


@router.post("/{rollout}/{verb}")
def move_rollout(fleet: TheFleet, operator: Deployer, rollout: RolloutId, verb: OperatorVerb) -> RolloutView:
    """Start, pause, resume, abort, or take the whole rollout back."""
    with fleet.database.write() as session:
        row = rollouts.find(session, rollout)
        wanted = rollouts.Change(Verb(verb), operator.name, f"{verb} by {operator.name}", fleet.clock())
        rollouts.change(session, fleet.assignments, row, wanted)
        view = tallies.view(session, row)
    fleet.changes.notify("rollouts", "audit")
    return view


def deployment_view(row: DeploymentRow) -> DeploymentView:
    """The deployment as people see it."""
    return DeploymentView(
        id=row.id,
        device=row.device,
        wave=row.wave,
        state=row.state,
        outcome=row.outcome,
        reason=row.reason,
        detail=row.detail,
        updated=row.updated,
    )
