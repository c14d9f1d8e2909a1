"""Why devices of a rollout did not succeed: grouped by reason, with the sentence and what to do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import DeviceId
from edge_contracts.lifecycle import Outcome
from edge_contracts.reasons import REASONS, Reason, ReasonInfo
from edge_fleet.records.rollouts import DeploymentRow
from edge_fleet.services.tallies import NOT_THE_RELEASES

MOST_DEVICES = 8


@dataclass(frozen=True)
class Trouble:
    """One reason, the devices that gave it (the first few by name), and what they said in detail."""

    reason: Reason
    info: ReasonInfo
    count: int
    devices: tuple[DeviceId, ...]
    detail: str


def troubles(session: Session, rollout: str) -> list[Trouble]:
    """The reasons for failed and rolled-back deployments, the most frequent first."""
    rows = session.scalars(
        select(DeploymentRow)
        .where(DeploymentRow.rollout == rollout, DeploymentRow.reason.is_not(None))
        .where(DeploymentRow.outcome.in_((Outcome.FAILED, Outcome.ROLLED_BACK)))
        .where(DeploymentRow.reason.not_in(NOT_THE_RELEASES))
        .order_by(DeploymentRow.device)
    )
    by_reason: defaultdict[Reason, list[DeploymentRow]] = defaultdict(list)
    for row in rows:
        assert row.reason is not None
        by_reason[row.reason].append(row)
    return [
        Trouble(reason, REASONS[reason], len(some), tuple(row.device for row in some[:MOST_DEVICES]), some[0].detail)
        for reason, some in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    ]
