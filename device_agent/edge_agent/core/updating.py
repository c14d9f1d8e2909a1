"""What happens next to a deployment, decided on values alone: its moves, its download budget, its probation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import Field

from edge_agent.core.health import RollBack, probation_limits, verdict
from edge_agent.ports import ServingHealth
from edge_contracts.assignments import Assignment, Kind
from edge_contracts.ids import DeploymentId, Digest, ModelName
from edge_contracts.lifecycle import MAX_TRANSITIONS, OUTCOMES, TRANSITIONS, Event, Outcome, State, next_state
from edge_contracts.manifest import Count
from edge_contracts.reasons import REASONS, Reason, Retry
from edge_contracts.verification import Plan
from edge_contracts.wire import Wire

Detail = Annotated[str, Field(max_length=2048)]
WAY_OUT: Final = 4
"""Transitions kept in reserve: undo, finish, close lead out of every state."""


@dataclass(frozen=True)
class UpdateSettings:
    """How patient the updater is. Times in seconds, sizes in bytes."""

    poll_seconds: float = 900.0
    """Between two looks for an assignment when nobody wakes the device."""
    look_seconds: float = 0.5
    """Between two looks at the health of a release on probation."""
    hold_seconds: float = 2.0
    """Between two looks at the application's hold."""
    reserve_bytes: int = 16 * 1024 * 1024
    """Free space that a download must leave."""
    max_fruitless: int = 5
    """Download attempts in a row that bring nothing."""
    max_attempts: int = 100
    max_rounds: int = 5
    """Times one assignment is followed when it ends for a reason that may pass."""
    max_starts: int = 3
    """Process starts without a healthy model before the active one is passed over."""
    max_tries: int = 5
    """Process starts while one release is verified, tested, activated and watched, before it is given up."""
    healthy_seconds: float = 900.0
    """A process that has watched the candidate in good health for so long is no part of a boot loop."""
    backoff_seconds: float = 1.0
    backoff_cap_seconds: float = 300.0


class Standing(Wire):
    """The deployment under way and where it stands: what a restarted process goes on from."""

    state: State = State.IDLE
    deployment: DeploymentId | None = None
    kind: Kind = Kind.INSTALL
    model: ModelName | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    release: Digest | None = None
    """The artifact's digest: the release's name on disk."""
    counter: Count = 0
    transitions: Count = 0
    attempts: Count = 0
    fruitless: Count = 0
    received: Count = 0
    rounds: Count = 0
    """Earlier times this assignment was followed and ended for a reason that may pass."""
    tries: Count = 0
    """Process starts since it was downloaded."""
    crashes: Count = 0
    """Worker crashes in this probation, earlier processes included."""
    watched: Annotated[float, Field(ge=0)] = 0.0
    """Seconds of probation that have passed, earlier processes included: a device that is often without power gets
    through it piece by piece."""
    answered: Count = 0
    """Requests answered in it."""
    reason: Reason | None = None
    detail: Detail = ""


class Transition(Wire):
    """One row of the journal."""

    at: float
    """Seconds since 1970."""
    deployment: DeploymentId | None
    model: ModelName | None
    version: int | None
    before: State
    event: Event
    after: State
    reason: Reason | None = None
    detail: Detail = ""


class Ended(Wire):
    """How a deployment ended, so that the same assignment is not followed twice."""

    deployment: DeploymentId
    counter: Count
    outcome: Outcome
    reason: Reason | None = None
    transitions: Count
    rounds: Count = 0
    at: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True)
class Move:
    """The event that the action of a state came to, and why."""

    event: Event
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class Wait:
    """Nothing to do for so many seconds, unless woken."""

    seconds: float


def offered(plan: Plan, earlier: Ended | None) -> Standing:
    """The standing of a new deployment, before its first move. `earlier` is how it ended the last time, if it did."""
    standing = claimed(plan.assignment).model_copy(update={"release": plan.artifact.digest})
    if earlier is None:
        return standing
    rounds = earlier.rounds if earlier.counter == plan.assignment.counter else 0
    return standing.model_copy(update={"transitions": earlier.transitions, "rounds": rounds})


def claimed(assignment: Assignment | None) -> Standing:
    """The standing of an assignment that is refused; without one, of a check that failed before it."""
    if assignment is None:
        return Standing()
    return Standing(
        deployment=assignment.deployment,
        kind=assignment.kind,
        model=assignment.model,
        version=assignment.version,
        counter=assignment.counter,
    )


def advance(standing: Standing, move: Move, at: float) -> tuple[Standing, Transition]:
    """The standing after `move` and the row to journal. Back in IDLE, and in SAFE_MODE, nothing is under way.

    A deployment that has used up its transitions is led out, whatever the move.

    Raises:
        IllegalTransition: the move does not apply.
    """
    move = _led_out(standing, move)
    after = next_state(standing.state, move.event)
    detail = (move.detail if move.reason else move.detail or standing.detail)[:2048]
    row = Transition(
        at=at,
        deployment=standing.deployment,
        model=standing.model,
        version=standing.version,
        before=standing.state,
        event=move.event,
        after=after,
        reason=move.reason or standing.reason,
        detail=detail,
    )
    if after in {State.IDLE, State.SAFE_MODE}:
        return Standing(state=after), row
    changes: dict[str, object] = {"state": after, "transitions": standing.transitions + 1}
    if move.reason is not None:
        changes |= {"reason": move.reason, "detail": detail}
    return standing.model_copy(update=changes), row


def end_of(before: Standing, after: Standing, at: float) -> Ended | None:
    """How the deployment of `before` ended, if the step to `after` ended it. An assignment refused at the check has
    not begun: it is looked at anew each time, and nothing that only its sender claims is remembered."""
    if before.deployment is None or before.release is None or after.deployment is not None:
        return None
    last = after.state if after.state is State.SAFE_MODE else before.state
    return Ended(
        deployment=before.deployment,
        counter=before.counter,
        outcome=OUTCOMES[last],
        reason=before.reason,
        transitions=before.transitions,
        rounds=before.rounds + 1,
        at=at,
    )


def may_try_again(ended: Ended, now: float, settings: UpdateSettings) -> bool:
    """Whether the same assignment, which ended so, may be followed once more by now."""
    if ended.reason is None or REASONS[ended.reason].retry is not Retry.BACKOFF:
        return False
    pause = min(settings.poll_seconds, settings.backoff_cap_seconds) * 2.0 ** (ended.rounds - 1)
    return ended.rounds < settings.max_rounds and now >= ended.at + pause


def _led_out(standing: Standing, move: Move) -> Move:
    if standing.deployment is None or standing.transitions < MAX_TRANSITIONS - WAY_OUT:
        return move
    for event in (Event.FAIL, Event.UNDO):
        if (standing.state, event) in TRANSITIONS:
            return Move(event, Reason.TOO_MANY_TRANSITIONS, f"{standing.transitions} transitions")
    return move


def _artifact(plan: Plan) -> tuple[Digest, ...]:
    return (plan.artifact.digest,)


def _content(plan: Plan) -> tuple[Digest, ...]:
    return (plan.artifact.digest, plan.variant.payload.digest)


def _model(plan: Plan) -> tuple[Digest, ...]:
    return (*_content(plan), plan.variant.model.digest)


_CONDEMNED: Final[dict[Reason, Callable[[Plan], tuple[Digest, ...]]]] = {
    Reason.ARTIFACT_TAMPERED: _artifact,
    Reason.PAYLOAD_MALFORMED: _artifact,
    Reason.PAYLOAD_DIGEST: _artifact,
    Reason.MODEL_UNLOADABLE: _content,
    Reason.SELFTEST_OUTPUTS: _content,
    Reason.SELFTEST_LATENCY: _artifact,
    Reason.SELFTEST_MEMORY: _artifact,
    Reason.SELFTEST_COVERAGE: _artifact,
    Reason.PROBATION_CRASHES: _model,
    Reason.PROBATION_HANG: _model,
    Reason.PROBATION_OUTPUTS: _model,
    Reason.PROBATION_ERRORS: _model,
    Reason.PROBATION_LATENCY: _artifact,
}
"""What is barred by which failure. The signed contract that a device does not meet may be relaxed in a new release of
the same content, so there only the artifact is. Bytes that merely arrived damaged bar nothing."""


def condemned(reason: Reason | None, plan: Plan) -> tuple[Digest, ...]:
    """The digests not to try again after a failure by `reason`."""
    bar = _CONDEMNED.get(reason) if reason else None
    return bar(plan) if bar else ()


@dataclass(frozen=True)
class Earlier:
    """What earlier processes have seen of the probation that goes on."""

    seconds: float = 0.0
    answered: int = 0
    crashes: int = 0


NOTHING_EARLIER: Final = Earlier()


def probation(
    plan: Plan, health: ServingHealth, elapsed: float, settings: UpdateSettings, earlier: Earlier = NOTHING_EARLIER
) -> Move | Wait:
    """Keep watching, commit or undo. `health` and the `elapsed` seconds are this process's."""
    seen = replace(health, crashes=health.crashes + earlier.crashes)
    judged = verdict(seen, probation_limits(plan.manifest, plan.variant), elapsed)
    if isinstance(judged, RollBack):
        return Move(Event.UNDO, judged.reason, judged.detail)
    assignment = plan.assignment
    left = assignment.probation_seconds - earlier.seconds - elapsed
    if left <= 0 and health.requests + earlier.answered >= assignment.probation_inferences:
        return Move(Event.PASS)
    return Wait(min(settings.look_seconds, max(left, 0.05)))
