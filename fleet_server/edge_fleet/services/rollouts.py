"""Rollouts as rows: made from a plan, started, and moved by verbs, each change with its audit row."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from edge_contracts.assignments import Kind
from edge_contracts.ids import DeploymentId
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.manifest import Manifest, read_manifest
from edge_contracts.operations import NewRollout, RolloutState
from edge_contracts.reasons import Reason
from edge_fleet.domain.rollouts import Verb, next_state
from edge_fleet.domain.waves import plan_waves
from edge_fleet.errors import Conflict, NotFound, Rejected
from edge_fleet.records.releases import ReleaseRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services import audit
from edge_fleet.services.assignments import Assignments
from edge_fleet.services.selections import select_devices


@dataclass(frozen=True)
class Change:
    """One change of a rollout: by whom, why and when."""

    verb: Verb
    actor: str
    reason: str
    at: datetime


def create(session: Session, assignments: Assignments, plan: NewRollout, actor: str, now: datetime) -> RolloutRow:
    """A new rollout, started at once if the plan says so.

    Raises:
        NotFound: no such release.
        Rejected: the waves do not grow, or nothing is selected.
        Conflict: a selected device is in another rollout.
    """
    _release(session, plan)
    if any(low >= high for low, high in pairwise((0.0, *plan.waves))):
        raise Rejected(
            "waves-not-growing",
            f"The waves {', '.join(f'{share:g}' for share in plan.waves)} are cumulative shares and must grow",
            "Give, for example, 0.05, 0.25, 1.",
        )
    row = RolloutRow(
        id=f"r-{secrets.token_hex(4)}",
        model=plan.model,
        version=plan.version,
        plan=plan,
        state=RolloutState.DRAFT,
        wave=0,
        changed=now,
        created=now,
        created_by=actor,
        updated=now,
        reason="waits to be started",
        revision=0,
    )
    session.add(row)
    session.flush()
    audit.record(session, now, actor, "rollout.create", row.id, f"{plan.model} {plan.version}")
    if plan.start:
        change(session, assignments, row, Change(Verb.START, actor, "", now))
    return row


def find(session: Session, rollout: str) -> RolloutRow:
    """The rollout of that id. Raises NotFound."""
    row = session.get(RolloutRow, rollout)
    if row is None:
        raise NotFound("rollout-unknown", f"There is no rollout {rollout}", "See `edge-sdk rollouts list`.")
    return row


def change(session: Session, assignments: Assignments, row: RolloutRow, wanted: Change) -> None:
    """Move the rollout by a verb, with what belongs to it, in the caller's transaction.

    Raises:
        Conflict: the verb does not apply in the present state, or another process was faster.
    """
    state = next_state(row.state, wanted.verb)
    touch(session, row, wanted.at)
    row.state, row.changed = state, wanted.at
    row.reason = f"{row.reason}; {wanted.reason}" if wanted.verb is Verb.FINISH else wanted.reason
    _CONSEQUENCES.get(wanted.verb, _nothing)(session, assignments, row, wanted)
    audit.record(session, wanted.at, wanted.actor, f"rollout.{wanted.verb}", row.id, row.reason)


def touch(session: Session, row: RolloutRow, now: datetime) -> None:
    """Compare-and-set on the revision: whoever comes second with an old one gets a Conflict and changes nothing."""
    known = row.revision
    result = session.execute(
        update(RolloutRow)
        .where(RolloutRow.id == row.id, RolloutRow.revision == known)
        .values(revision=known + 1, updated=now)
        .execution_options(synchronize_session="fetch")
        .returning(RolloutRow.id)
    )
    if result.one_or_none() is None:
        raise Conflict("rollout-moved", f"Rollout {row.id} was changed at the same moment", "Look again, then decide.")


def _nothing(_session: Session, _assignments: Assignments, _row: RolloutRow, _wanted: Change) -> None:
    """Pausing, succeeding and finishing change the rollout's own row only."""


def _freeze(session: Session, _assignments: Assignments, row: RolloutRow, wanted: Change) -> None:
    selection = select_devices(session, row.plan.selector, _release(session, row.plan))
    for number, wave in enumerate(plan_waves(row.id, selection.devices, row.plan.waves), start=1):
        for device in wave:
            session.add(
                DeploymentRow(
                    id=DeploymentId(f"d-{secrets.token_hex(8)}"),
                    rollout=row.id,
                    device=device,
                    kind=Kind.INSTALL,
                    wave=number,
                    updated=wanted.at,
                )
            )
    session.flush()
    left_out = ", ".join(f"{count} of profile {profile}" for profile, count in sorted(selection.left_out.items()))
    row.reason = wanted.reason or "the rollout has started"
    if left_out:
        row.reason += f"; left out, having no variant in the release: {left_out}"


def _forgive(session: Session, _assignments: Assignments, row: RolloutRow, _wanted: Change) -> None:
    failed = (DeploymentRow.rollout == row.id) & DeploymentRow.outcome.in_((Outcome.FAILED, Outcome.ROLLED_BACK))
    session.execute(update(DeploymentRow).where(failed).values(forgiven=True))


def _stop(session: Session, assignments: Assignments, row: RolloutRow, wanted: Change) -> None:
    """Nobody may begin any more. Devices that have begun are told to abort by the scheduler; they report themselves."""
    for deployment in session.scalars(
        select(DeploymentRow).where(DeploymentRow.rollout == row.id, DeploymentRow.outcome.is_(None))
    ):
        assignments.withdraw(session, deployment.device, deployment.id)
        if deployment.state is None:
            close(deployment, Outcome.ABORTED, Reason.ABORTED_BY_SERVER, "not begun when the rollout ended", wanted.at)
        elif deployment.state is State.FAILED and deployment.reason is not None:
            close(deployment, Outcome.FAILED, deployment.reason, deployment.detail, wanted.at)


def close(row: DeploymentRow, outcome: Outcome, reason: Reason, detail: str, now: datetime) -> None:
    """The server ends a deployment that its device has not begun, or would have begun again."""
    row.open, row.outcome, row.reason, row.detail, row.updated = False, outcome, reason, detail, now


_Consequence = Callable[[Session, Assignments, RolloutRow, Change], None]
_CONSEQUENCES: Final[dict[Verb, _Consequence]] = {
    Verb.START: _freeze,
    Verb.RESUME: _forgive,
    Verb.ABORT: _stop,
    Verb.ROLL_BACK: _stop,
}


def _release(session: Session, plan: NewRollout) -> Manifest:
    row = session.get(ReleaseRow, (plan.model, plan.version))
    if row is None:
        raise NotFound(
            "release-unknown", f"There is no release {plan.model} {plan.version}", "Publish it with `edge-sdk publish`."
        )
    return read_manifest(row.manifest)
