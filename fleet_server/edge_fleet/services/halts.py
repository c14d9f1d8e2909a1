"""The alert of a rollout that was halted: what stopped it, why the devices refused, and what to do."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.lifecycle import Outcome
from edge_contracts.reasons import REASONS, Reason
from edge_fleet.domain.rollouts import Verb
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services.alerts import AlertKind, Condition, Severity
from edge_fleet.services.tallies import NOT_THE_RELEASES

DEEDS: Final[dict[Verb, tuple[str, Severity]]] = {
    Verb.PAUSE: ("paused", Severity.WARNING),
    Verb.ABORT: ("aborted", Severity.CRITICAL),
    Verb.ROLL_BACK: ("is rolled back", Severity.CRITICAL),
}
"""Verbs that halt, as a person reads them."""


def condition(session: Session, row: RolloutRow, verb: Verb, now: datetime) -> Condition | None:
    """What to alert of when the scheduler halts a rollout; None for a verb that halts nothing."""
    if verb not in DEEDS:
        return None
    deed, severity = DEEDS[verb]
    troubled = session.scalars(
        select(DeploymentRow)
        .where(DeploymentRow.rollout == row.id)
        .where(DeploymentRow.outcome.in_((Outcome.FAILED, Outcome.ROLLED_BACK)))
        .where(DeploymentRow.reason.not_in(NOT_THE_RELEASES))
    ).all()
    reasons = Counter(deployment.reason for deployment in troubled if deployment.reason is not None)
    return Condition(
        topic=f"rollout/{row.id}",
        kind=AlertKind.ROLLOUT_HALTED,
        severity=severity,
        model=row.model,
        version=row.version,
        since=row.wave_started or now,
        message=f"Rollout {row.id} of {row.model} {row.version} {deed}: {row.reason}{_say(reasons)}",
        hint=REASONS[reasons.most_common(1)[0][0]].hint if reasons else "See the rollout's page.",
        devices=tuple(sorted(deployment.device for deployment in troubled)),
    )


def _say(reasons: Counter[Reason]) -> str:
    parts = [f"{count} x {reason} ({REASONS[reason].sentence})" for reason, count in reasons.most_common(3)]
    return ". Devices reported: " + "; ".join(parts) if parts else ""
