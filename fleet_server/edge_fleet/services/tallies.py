"""What is known of a rollout at one moment: devices counted by what became of them, for `decide` and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from edge_contracts.assignments import Kind
from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import RolloutState, RolloutView, WaveView
from edge_contracts.reasons import Reason
from edge_fleet.domain.rollouts import Counts, Rollout, Tally
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.observations import AlertRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services import reverts
from edge_fleet.services.alerts import DRIFT_KINDS

_OUTCOME_FIELDS: Final[dict[Outcome, str]] = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.ROLLED_BACK: "rolled_back",
    Outcome.ABORTED: "aborted",
}

NOT_THE_RELEASES: Final = (Reason.ABORTED_BY_SERVER, Reason.SUPERSEDED)
"""A device that went back for one of these says nothing about the release."""


def tally(session: Session, row: RolloutRow, silent_after: timedelta, now: datetime) -> tuple[Rollout, Tally]:
    """What `decide` asks for."""
    waves = _counts_by_wave(session, row, silent_after, now)
    started = [counts for number, counts in waves.items() if number <= row.wave]
    going_back = row.state is RolloutState.ROLLING_BACK
    return _rollout(row, max(waves, default=0)), Tally(
        wave=waves.get(row.wave, Counts()),
        started=_sum(started),
        open_alerts=_open_alerts(session, row),
        outstanding=reverts.outstanding(session, row) if going_back else 0,
        unreturned=reverts.unreturned(session, row) if going_back else 0,
    )


def view(session: Session, row: RolloutRow) -> RolloutView:
    """The rollout as people see it."""
    grouped = session.execute(
        select(DeploymentRow.wave, DeploymentRow.outcome, DeploymentRow.state.is_(None), func.count())
        .where(DeploymentRow.rollout == row.id, DeploymentRow.kind == Kind.INSTALL)
        .group_by(DeploymentRow.wave, DeploymentRow.outcome, DeploymentRow.state.is_(None))
    )
    waves: dict[int, Counter[str]] = {}
    for wave, outcome, not_begun, count in grouped:
        field = _OUTCOME_FIELDS[outcome] if outcome else "pending" if not_begun else "updating"
        waves.setdefault(wave, Counter())[field] += count
    return RolloutView(
        id=row.id,
        plan=row.plan,
        state=row.state,
        wave=row.wave,
        waves=tuple(WaveView(number=n, devices=waves[n].total(), **waves[n]) for n in sorted(waves)),
        reason=row.reason,
        created=row.created,
        updated=row.updated,
    )


def _rollout(row: RolloutRow, waves: int) -> Rollout:
    return Rollout(
        plan=row.plan,
        state=row.state,
        wave=row.wave,
        waves=waves,
        changed=row.changed,
        wave_started=row.wave_started,
        wave_settled=row.wave_settled,
    )


def _counts_by_wave(session: Session, row: RolloutRow, silent_after: timedelta, now: datetime) -> dict[int, Counts]:
    reachable = and_(DeviceRow.connected, DeviceRow.last_seen > now - silent_after, DeviceRow.revoked.is_(None))
    standing = case(
        (DeploymentRow.forgiven, "forgiven"),
        (DeploymentRow.outcome.is_not(None) & DeploymentRow.reason.in_(NOT_THE_RELEASES), "aborted"),
        *((DeploymentRow.outcome == outcome, field) for outcome, field in _OUTCOME_FIELDS.items()),
        (DeploymentRow.state.is_not(None), "updating"),
        (reachable, "waiting"),
        else_="offline",
    )
    grouped = session.execute(
        select(DeploymentRow.wave, standing, func.count())
        .join(DeviceRow, DeviceRow.id == DeploymentRow.device)
        .where(DeploymentRow.rollout == row.id, DeploymentRow.kind == Kind.INSTALL)
        .group_by(DeploymentRow.wave, standing)
    )
    waves: dict[int, Counts] = {}
    for wave, field, count in grouped:
        waves[wave] = replace(waves.get(wave, Counts()), **{field: count})
    return waves


def _sum(many: Iterable[Counts]) -> Counts:
    total: Counter[str] = Counter()
    for counts in many:
        total.update(vars(counts))
    return Counts(**total)


def _open_alerts(session: Session, row: RolloutRow) -> int:
    query = (
        select(func.count())
        .select_from(AlertRow)
        .where(AlertRow.model == row.model, AlertRow.version == row.version, ~AlertRow.acknowledged)
        .where(AlertRow.kind.in_(DRIFT_KINDS))
    )
    return session.scalar(query) or 0
