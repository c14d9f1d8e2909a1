"""The scheduler: asks the domain what each rollout does next and acts it out, every step in one transaction.

It keeps nothing of its own that matters: killed at any point and started again, it goes on from the rows.
"""

from __future__ import annotations

import logging
import secrets
import threading
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from edge_contracts.assignments import Kind
from edge_contracts.ids import DeploymentId, DeviceId
from edge_contracts.lifecycle import Outcome
from edge_contracts.messages import Command, CommandName
from edge_contracts.operations import RolloutState
from edge_contracts.reasons import Reason
from edge_contracts.topics import COMMAND
from edge_fleet.domain.rollouts import Action, Decision, Verb, decide
from edge_fleet.errors import Conflict, NotFound, Rejected, Unavailable
from edge_fleet.ports import Clock, MessageLink, Transactions
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services import alerts, audit, halts, reverts, rollouts, tallies
from edge_fleet.services.assignments import Assignments
from edge_fleet.services.changes import Changes
from edge_fleet.settings import Rhythm

_log = logging.getLogger(__name__)

ACTOR: Final = "scheduler"
BATCH: Final = 200
"""Assignments made in one transaction: a large wave must not hold the write lock for long."""
REPEAT_ABORT: Final = timedelta(seconds=15)
MOVING: Final = (RolloutState.RUNNING, RolloutState.ROLLING_BACK)
GOING_BACK: Final = (RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK)
STOPPED: Final = (RolloutState.ABORTED, RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK)


class Scheduler:
    """A background service: one loop."""

    name = "scheduler"

    def __init__(
        self,
        database: Transactions,
        clock: Clock,
        changes: Changes,
        link: MessageLink,
        assignments: Assignments,
        rhythm: Rhythm,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._link = link
        self._assignments = assignments
        self._period = rhythm.scheduler_seconds
        self._silent_after = timedelta(seconds=rhythm.silent_after_seconds)
        self._aborts_sent: dict[DeploymentId, datetime] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        while not stop.wait(self._period):
            self.tick()

    def tick(self) -> None:
        """One round over everything that can move."""
        with self._database.read() as session:
            moving = [
                *session.scalars(select(RolloutRow.id).where(RolloutRow.state.in_(MOVING))),
                *reverts.rollouts_with_stragglers(session),
            ]
        for rollout in moving:
            try:
                self._advance(rollout)
            except Conflict as conflict:
                _log.info("rollout %s: %s", rollout, conflict)
        self._send_aborts()
        self._notice_silence()

    def _advance(self, rollout: str) -> None:
        while self._step(rollout):
            self._changes.notify("rollouts", "audit")

    def _step(self, rollout: str) -> bool:
        """One decision, acted out; True if something changed and the next one may follow at once."""
        now = self._clock()
        with self._database.read() as session:
            if not self._has_work(session, rollouts.find(session, rollout), now):
                return False
        with self._database.write() as session:
            row = rollouts.find(session, rollout)
            handed_out = self._assign_due(session, row, now) or self._revert_due(session, row, now)
            return handed_out or self._act(session, row, self._decide(session, row, now), now)

    def _has_work(self, session: Session, row: RolloutRow, now: datetime) -> bool:
        decision = self._decide(session, row, now)
        return (
            decision.action is not Action.HOLD
            or (decision.reason not in {"", row.reason})
            or bool(_unassigned(session, row, 1))
            or (row.state in GOING_BACK and bool(reverts.due(session, row, 1)))
        )

    def _decide(self, session: Session, row: RolloutRow, now: datetime) -> Decision:
        return decide(*tallies.tally(session, row, self._silent_after, now), now)

    def _act(self, session: Session, row: RolloutRow, decision: Decision, now: datetime) -> bool:
        match decision.action:
            case Action.HOLD:
                return _say(session, row, decision.reason, now)
            case Action.SETTLE_WAVE:
                rollouts.touch(session, row, now)
                row.wave_settled, row.reason = now, decision.reason
            case Action.START_WAVE:
                rollouts.touch(session, row, now)
                row.wave, row.wave_started, row.wave_settled = row.wave + 1, now, None
                row.reason = f"wave {row.wave} has started: {decision.reason}"
                audit.record(session, now, ACTOR, "rollout.wave", row.id, row.reason)
            case Action.CHANGE:
                assert decision.verb is not None
                wanted = rollouts.Change(decision.verb, ACTOR, decision.reason, now)
                rollouts.change(session, self._assignments, row, wanted)
                self._alert(session, row, decision.verb, now)
        return True

    def _alert(self, session: Session, row: RolloutRow, verb: Verb, now: datetime) -> None:
        condition = halts.condition(session, row, verb, now)
        if condition is not None:
            alerts.raise_alert(session, condition, now)
            self._changes.notify("alerts")

    def _assign_due(self, session: Session, row: RolloutRow, now: datetime) -> bool:
        due = _unassigned(session, row, BATCH)
        for deployment in due:
            self._assign(session, row, deployment, row.version, now)
        return bool(due)

    def _assign(
        self, session: Session, row: RolloutRow, deployment: DeploymentRow, version: int, now: datetime
    ) -> None:
        _supersede(session, deployment.device, now)
        deployment.open, deployment.assigned, deployment.updated = True, now, now
        try:
            with session.begin_nested():
                self._assignments.assign(
                    session,
                    device=deployment.device,
                    deployment=deployment.id,
                    kind=deployment.kind,
                    model=row.model,
                    version=version,
                    now=now,
                    probation_seconds=row.plan.probation_seconds,
                    probation_inferences=row.plan.probation_inferences,
                )
        except Rejected as error:
            rollouts.close(deployment, Outcome.FAILED, Reason.RELEASE_INCOMPATIBLE, str(error), now)
        except (Conflict, NotFound) as error:
            rollouts.close(deployment, Outcome.ABORTED, Reason.ABORTED_BY_SERVER, str(error), now)

    def _revert_due(self, session: Session, row: RolloutRow, now: datetime) -> bool:
        if row.state not in GOING_BACK:
            return False
        due = reverts.due(session, row, BATCH)
        for committed in due:
            back = DeploymentRow(
                id=DeploymentId(f"d-{secrets.token_hex(8)}"),
                rollout=row.id,
                device=committed.device,
                kind=Kind.REVERT,
                wave=committed.wave,
                open=False,
                updated=now,
            )
            session.add(back)
            version = reverts.previous_version(session, row, committed.device)
            if version is None:
                nothing = "the device has no earlier release to return to and keeps this one"
                rollouts.close(back, Outcome.FAILED, Reason.RELEASE_UNKNOWN, nothing, now)
            else:
                self._assign(session, row, back, version, now)
        return bool(due)

    def _send_aborts(self) -> None:
        """Commands are not kept by anyone: they are repeated until the device reports an end."""
        now = self._clock()
        with self._database.read() as session:
            open_ones = session.execute(
                select(DeploymentRow.id, DeploymentRow.device)
                .join(RolloutRow, RolloutRow.id == DeploymentRow.rollout)
                .join(DeviceRow, DeviceRow.id == DeploymentRow.device)
                .where(RolloutRow.state.in_(STOPPED), DeploymentRow.open, DeploymentRow.kind == Kind.INSTALL)
                .where(DeviceRow.connected)
            ).all()
        self._aborts_sent = {one: self._aborts_sent[one] for one, _ in open_ones if one in self._aborts_sent}
        for deployment, device in open_ones:
            if now - self._aborts_sent.get(deployment, datetime.min.replace(tzinfo=now.tzinfo)) >= REPEAT_ABORT:
                self._abort(deployment, device, now)

    def _abort(self, deployment: DeploymentId, device: DeviceId, now: datetime) -> None:
        expires = (now + timedelta(seconds=COMMAND.expiry or 0)).timestamp()
        command = Command(name=CommandName.ABORT, deployment=deployment, expires=expires)
        try:
            self._link.send(COMMAND, device, command)
        except Unavailable as error:
            _log.info("abort of %s on %s waits: %s", deployment, device, error)
            return
        self._aborts_sent[deployment] = now

    def _notice_silence(self) -> None:
        now = self._clock()
        gone = DeviceRow.connected & (DeviceRow.last_seen <= now - self._silent_after)
        with self._database.read() as session:
            if session.scalar(select(DeviceRow.id).where(gone).limit(1)) is None:
                return
        with self._database.write() as session:
            session.execute(update(DeviceRow).where(gone).values(connected=False))
        self._changes.notify("devices")


def _unassigned(session: Session, row: RolloutRow, limit: int) -> list[DeploymentRow]:
    if row.state is not RolloutState.RUNNING:
        return []
    query = (
        select(DeploymentRow)
        .where(DeploymentRow.rollout == row.id, DeploymentRow.kind == Kind.INSTALL)
        .where(DeploymentRow.wave <= row.wave, DeploymentRow.assigned.is_(None), DeploymentRow.outcome.is_(None))
        .limit(limit)
    )
    return list(session.scalars(query))


def _supersede(session: Session, device: DeviceId, now: datetime) -> None:
    """The tail of an ended rollout gives way to the newest one: a device never holds two deployments."""
    tail = session.scalar(select(DeploymentRow).where(DeploymentRow.device == device, DeploymentRow.open))
    if tail is not None:
        rollouts.close(tail, Outcome.ABORTED, Reason.SUPERSEDED, "a newer rollout took the device", now)
        session.flush()


def _say(session: Session, row: RolloutRow, reason: str, now: datetime) -> bool:
    if reason and reason != row.reason:
        rollouts.touch(session, row, now)
        row.reason = reason
    return False
