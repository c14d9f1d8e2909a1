"""The way back of a rollout: which devices must return, to which release, and who is still missing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from edge_contracts.assignments import Kind
from edge_contracts.ids import DeviceId
from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import RolloutState
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow


def rollouts_with_stragglers(session: Session) -> Sequence[str]:
    """Rollouts that are rolled back, of which a device reported only afterwards that it had committed."""
    told = aliased(DeploymentRow)
    query = (
        select(RolloutRow.id)
        .join(DeploymentRow, DeploymentRow.rollout == RolloutRow.id)
        .outerjoin(
            told,
            (told.rollout == RolloutRow.id) & (told.device == DeploymentRow.device) & (told.kind == Kind.REVERT),
        )
        .where(RolloutRow.state == RolloutState.ROLLED_BACK, told.id.is_(None))
        .where(DeploymentRow.kind == Kind.INSTALL, DeploymentRow.outcome == Outcome.SUCCEEDED)
        .distinct()
    )
    return session.scalars(query).all()


def outstanding(session: Session, row: RolloutRow) -> int:
    """Devices a rollback waits for: still under way, or committed and not yet told to return."""
    query = (
        select(func.count())
        .select_from(DeploymentRow)
        .join(DeviceRow, DeviceRow.id == DeploymentRow.device)
        .where(DeploymentRow.rollout == row.id, DeviceRow.revoked.is_(None))
        .where(DeploymentRow.open | _must_return(row))
    )
    return session.scalar(query) or 0


def unreturned(session: Session, row: RolloutRow) -> int:
    """Devices whose way back ended without their earlier release."""
    query = (
        select(func.count())
        .select_from(DeploymentRow)
        .where(DeploymentRow.rollout == row.id, DeploymentRow.kind == Kind.REVERT)
        .where(DeploymentRow.outcome.is_not(None), DeploymentRow.outcome != Outcome.SUCCEEDED)
    )
    return session.scalar(query) or 0


def due(session: Session, row: RolloutRow, limit: int) -> Sequence[DeploymentRow]:
    """Deployments that committed, still stand and have not been told to return."""
    query = (
        select(DeploymentRow)
        .join(DeviceRow, DeviceRow.id == DeploymentRow.device)
        .where(DeploymentRow.rollout == row.id, DeviceRow.revoked.is_(None), _must_return(row))
        .limit(limit)
    )
    return session.scalars(query).all()


def previous_version(session: Session, row: RolloutRow, device: DeviceId) -> int | None:
    """The version of this model that the device committed before and still holds as its previous one, if any."""
    revert = aliased(DeploymentRow)
    left = exists().where(
        revert.rollout == DeploymentRow.rollout,
        revert.device == device,
        revert.kind == Kind.REVERT,
        revert.outcome == Outcome.SUCCEEDED,
    )
    return session.scalar(
        select(RolloutRow.version)
        .join(DeploymentRow, DeploymentRow.rollout == RolloutRow.id)
        .where(DeploymentRow.device == device, DeploymentRow.kind == Kind.INSTALL)
        .where(DeploymentRow.outcome == Outcome.SUCCEEDED, ~left)
        .where(RolloutRow.model == row.model, RolloutRow.version != row.version)
        .order_by(DeploymentRow.updated.desc())
        .limit(1)
    )


def _must_return(row: RolloutRow) -> ColumnElement[bool]:
    told, later, other = aliased(DeploymentRow), aliased(DeploymentRow), aliased(RolloutRow)
    told_to = exists().where(told.rollout == row.id, told.device == DeploymentRow.device, told.kind == Kind.REVERT)
    moved_on = exists().where(
        later.device == DeploymentRow.device,
        later.kind == Kind.INSTALL,
        later.outcome == Outcome.SUCCEEDED,
        later.updated > DeploymentRow.updated,
        other.id == later.rollout,
        other.model == row.model,
        other.id != row.id,
    )
    return and_(DeploymentRow.kind == Kind.INSTALL, DeploymentRow.outcome == Outcome.SUCCEEDED, ~told_to, ~moved_on)
