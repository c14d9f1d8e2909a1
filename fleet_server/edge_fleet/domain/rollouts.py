"""What a rollout does next: `decide(rollout, tally, now)` over a table of rules, and the table of its states.

Pure: the scheduler counts, asks and acts. Error is judged before success; too little data holds, it never passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from edge_contracts.operations import NewRollout, OnBreach, RolloutState
from edge_fleet.errors import Conflict


class Verb(StrEnum):
    """What moves a rollout from one state to another."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    ROLL_BACK = "rollback"
    SUCCEED = "succeed"
    FINISH = "finish"


OPERATOR_VERBS: Final = frozenset({Verb.START, Verb.PAUSE, Verb.RESUME, Verb.ABORT, Verb.ROLL_BACK})
"""Verbs a person may use; the others follow from what the devices report."""

_S, _V = RolloutState, Verb

TRANSITIONS: Final[dict[tuple[RolloutState, Verb], RolloutState]] = {
    (_S.DRAFT, _V.START): _S.RUNNING,
    (_S.DRAFT, _V.ABORT): _S.ABORTED,
    (_S.RUNNING, _V.PAUSE): _S.PAUSED,
    (_S.RUNNING, _V.ABORT): _S.ABORTED,
    (_S.RUNNING, _V.ROLL_BACK): _S.ROLLING_BACK,
    (_S.RUNNING, _V.SUCCEED): _S.SUCCEEDED,
    (_S.PAUSED, _V.RESUME): _S.RUNNING,
    (_S.PAUSED, _V.ABORT): _S.ABORTED,
    (_S.PAUSED, _V.ROLL_BACK): _S.ROLLING_BACK,
    (_S.SUCCEEDED, _V.ROLL_BACK): _S.ROLLING_BACK,
    (_S.ABORTED, _V.ROLL_BACK): _S.ROLLING_BACK,
    (_S.ROLLING_BACK, _V.FINISH): _S.ROLLED_BACK,
}

ACTIVE: Final = frozenset({_S.RUNNING, _S.PAUSED, _S.ROLLING_BACK})
"""States in which a rollout holds its devices: no other rollout may take them."""


def next_state(state: RolloutState, verb: Verb) -> RolloutState:
    """The state after `verb`.

    Raises:
        Conflict: the table has no row for this pair; the hint names the verbs that apply.
    """
    try:
        return TRANSITIONS[state, verb]
    except KeyError:
        possible = sorted(v.value for s, v in TRANSITIONS if s is state and v in OPERATOR_VERBS)
        raise Conflict(
            "rollout-state",
            f"a rollout that is {state.value} cannot {verb.value}",
            hint=f"Now possible: {', '.join(possible)}." if possible else "It has ended; make a new rollout.",
        ) from None


@dataclass(frozen=True)
class Counts:
    """Devices of a wave (or of all started waves) by what became of them. Each device is counted once."""

    waiting: int = 0
    """Reachable, has not begun."""
    offline: int = 0
    """Not reachable, has not begun: the tail, which gets the release when it returns."""
    updating: int = 0
    succeeded: int = 0
    failed: int = 0
    rolled_back: int = 0
    aborted: int = 0
    forgiven: int = 0
    """Failed or rolled back before an operator resumed the rollout, thereby accepting it."""

    @property
    def devices(self) -> int:
        """All of them."""
        return self.waiting + self.offline + self.updating + self.reported

    @property
    def errors(self) -> int:
        """Failed or rolled back."""
        return self.failed + self.rolled_back

    @property
    def judged(self) -> int:
        """Those whose outcome says something about the release."""
        return self.succeeded + self.errors

    @property
    def reported(self) -> int:
        """Those that reported any outcome."""
        return self.judged + self.aborted + self.forgiven


@dataclass(frozen=True)
class Tally:
    """What is known at one moment.

    Of a rollback: `outstanding` devices are still on their way, `unreturned` ones ended without their earlier release.
    """

    wave: Counts = field(default_factory=Counts)
    started: Counts = field(default_factory=Counts)
    """Of every wave started so far, the present one included."""
    open_alerts: int = 0
    outstanding: int = 0
    unreturned: int = 0


@dataclass(frozen=True)
class Rollout:
    """What `decide` needs to know of a rollout. `wave` counts from one; zero is before the first."""

    plan: NewRollout
    state: RolloutState
    wave: int
    waves: int
    changed: datetime
    """When it came into its state."""
    wave_started: datetime | None = None
    wave_settled: datetime | None = None
    """When the present wave had reported enough to be judged: the start of its bake time."""


class Action(StrEnum):
    """What the scheduler shall do."""

    HOLD = "hold"
    START_WAVE = "start-wave"
    SETTLE_WAVE = "settle-wave"
    CHANGE = "change"


@dataclass(frozen=True)
class Decision:
    """What to do now and why, in a sentence for people. `verb` belongs to CHANGE."""

    action: Action
    reason: str
    verb: Verb | None = None


Rule = Callable[[Rollout, Tally, datetime], Decision | None]

_BREACH_VERBS: Final[dict[OnBreach, Verb]] = {
    OnBreach.PAUSE: Verb.PAUSE,
    OnBreach.ABORT: Verb.ABORT,
    OnBreach.ROLL_BACK: Verb.ROLL_BACK,
}


def decide(rollout: Rollout, tally: Tally, now: datetime) -> Decision:
    """The first word any rule of this state's list has to say. Total: it answers for every state."""
    for rule in RULES.get(rollout.state, ()):
        decision = rule(rollout, tally, now)
        if decision is not None:
            return decision
    return Decision(Action.HOLD, "")


def _first_wave(rollout: Rollout, _tally: Tally, _now: datetime) -> Decision | None:
    return Decision(Action.START_WAVE, "the rollout has started") if rollout.wave == 0 else None


def _errors(rollout: Rollout, tally: Tally, _now: datetime) -> Decision | None:
    gates = rollout.plan.gates
    for scope, counts in ((f"wave {rollout.wave}", tally.wave), ("the rollout", tally.started)):
        if counts.errors >= gates.error_minimum and counts.errors > gates.error_share * counts.judged:
            return _breach(
                rollout,
                f"{counts.errors} of {counts.judged} devices that reported in {scope} failed or rolled back "
                f"({_percent(counts.errors, counts.judged)}, at most {gates.error_share:.0%} is allowed)",
            )
    return None


def _stalls(rollout: Rollout, tally: Tally, now: datetime) -> Decision | None:
    """Silence is evidence against a release: past the deadline, a device that took it up or could have is an error."""
    gates, wave = rollout.plan.gates, tally.wave
    stalled = wave.updating + wave.waiting
    if not _overdue(rollout, now) or not stalled:
        return None
    errors = wave.errors + stalled
    if errors >= gates.error_minimum and errors > gates.error_share * (wave.judged + stalled):
        return _breach(
            rollout,
            f"{stalled} reachable or updating devices of wave {rollout.wave} did not finish within "
            f"{rollout.plan.wave_deadline_seconds:g} s",
        )
    return None


def _alerts(rollout: Rollout, tally: Tally, _now: datetime) -> Decision | None:
    if not rollout.plan.gates.alerts_breach or not tally.open_alerts:
        return None
    return _breach(rollout, f"{tally.open_alerts} open alert{_s(tally.open_alerts)} on the release")


def _too_little_data(rollout: Rollout, tally: Tally, now: datetime) -> Decision | None:
    wave, quorum = tally.wave, rollout.plan.gates.quorum_share
    if not wave.judged and not wave.forgiven:
        return _hold(f"wave {rollout.wave}: no device has reported an outcome yet")
    missing = wave.devices - wave.reported
    if _overdue(rollout, now) or wave.reported >= quorum * wave.devices:
        return None
    return _hold(
        f"wave {rollout.wave}: {wave.reported} of {wave.devices} devices have reported, {quorum:.0%} are needed; "
        f"{missing} missing, of them {wave.offline} offline"
    )


def _successes(rollout: Rollout, tally: Tally, _now: datetime) -> Decision | None:
    wave, least = tally.wave, rollout.plan.gates.success_share
    if wave.succeeded >= least * wave.judged:
        return None
    return _breach(
        rollout,
        f"{wave.succeeded} of {wave.judged} devices of wave {rollout.wave} succeeded "
        f"({_percent(wave.succeeded, wave.judged)}, at least {least:.0%} is needed)",
    )


def _settle(rollout: Rollout, tally: Tally, _now: datetime) -> Decision | None:
    if rollout.wave_settled is not None:
        return None
    return Decision(
        Action.SETTLE_WAVE,
        f"wave {rollout.wave}: {tally.wave.succeeded} of {tally.wave.devices} devices succeeded; "
        f"it bakes for {rollout.plan.bake_seconds:g} s",
    )


def _bake(rollout: Rollout, _tally: Tally, now: datetime) -> Decision | None:
    assert rollout.wave_settled is not None
    if now < rollout.wave_settled + timedelta(seconds=rollout.plan.bake_seconds):
        return _hold(f"wave {rollout.wave} bakes for {rollout.plan.bake_seconds:g} s")
    return None


def _next_wave(rollout: Rollout, _tally: Tally, _now: datetime) -> Decision | None:
    if rollout.wave >= rollout.waves:
        return None
    return Decision(Action.START_WAVE, f"wave {rollout.wave} passed its gates")


def _succeed(_rollout: Rollout, tally: Tally, _now: datetime) -> Decision:
    tail = tally.started.devices - tally.started.reported
    later = f"; {tail} will get it when they return" if tail else ""
    return Decision(
        Action.CHANGE, f"every wave passed its gates, {tally.started.succeeded} devices succeeded{later}", Verb.SUCCEED
    )


def _returning(rollout: Rollout, tally: Tally, now: datetime) -> Decision | None:
    if not tally.outstanding or now >= rollout.changed + timedelta(seconds=rollout.plan.wave_deadline_seconds):
        return None
    return _hold("")


def _returned(_rollout: Rollout, tally: Tally, _now: datetime) -> Decision:
    left = [
        f"{count} device{_s(count)} {what}"
        for count, what in ((tally.outstanding, "did not answer in time"), (tally.unreturned, "could not go back"))
        if count
    ]
    return Decision(Action.CHANGE, ", ".join(left) or "every device is back on the release it had", Verb.FINISH)


RULES: Final[dict[RolloutState, tuple[Rule, ...]]] = {
    RolloutState.RUNNING: (
        _first_wave,
        _errors,
        _stalls,
        _alerts,
        _too_little_data,
        _successes,
        _settle,
        _bake,
        _next_wave,
        _succeed,
    ),
    RolloutState.ROLLING_BACK: (_returning, _returned),
}
"""Asked in this order; a state without rules waits for a person."""


def _breach(rollout: Rollout, what: str) -> Decision:
    verb = _BREACH_VERBS[rollout.plan.on_breach]
    return Decision(Action.CHANGE, what, verb)


def _hold(reason: str) -> Decision:
    return Decision(Action.HOLD, reason)


def _overdue(rollout: Rollout, now: datetime) -> bool:
    started = rollout.wave_started
    return started is not None and now >= started + timedelta(seconds=rollout.plan.wave_deadline_seconds)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def _s(number: int) -> str:
    return "" if number == 1 else "s"
