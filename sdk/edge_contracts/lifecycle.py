"""The life of a deployment on a device: one table that agent and server share, and the diagram drawn from it.

The table is the program: a state changes by `next_state` and in no other way.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from edge_contracts.errors import IllegalTransition

MAX_TRANSITIONS: Final = 64
"""Transitions one deployment may take before it is FAILED (too-many-transitions)."""


class State(StrEnum):
    """Where a deployment stands on its device."""

    IDLE = "idle"
    CHECKING = "checking"
    OFFERED = "offered"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    STAGED = "staged"
    ACTIVATING = "activating"
    PROBATION = "probation"
    COMMITTING = "committing"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    ABORTED = "aborted"
    SAFE_MODE = "safe-mode"


class Event(StrEnum):
    """What makes a deployment move."""

    POLL = "poll"
    NOTHING = "nothing"
    OFFER = "offer"
    BEGIN = "begin"
    FINISH = "finish"
    PASS = "pass"  # noqa: S105 - the word for a passed check, not a secret
    FAIL = "fail"
    UNDO = "undo"
    ABORT = "abort"
    LOST = "lost"
    CLOSE = "close"


_S, _E = State, Event

TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (_S.IDLE, _E.POLL): _S.CHECKING,
    (_S.CHECKING, _E.NOTHING): _S.IDLE,
    (_S.CHECKING, _E.OFFER): _S.OFFERED,
    (_S.CHECKING, _E.FAIL): _S.FAILED,
    (_S.CHECKING, _E.ABORT): _S.ABORTED,
    (_S.CHECKING, _E.LOST): _S.SAFE_MODE,
    (_S.OFFERED, _E.BEGIN): _S.DOWNLOADING,
    (_S.OFFERED, _E.FAIL): _S.FAILED,
    (_S.OFFERED, _E.ABORT): _S.ABORTED,
    (_S.DOWNLOADING, _E.FINISH): _S.VERIFYING,
    (_S.DOWNLOADING, _E.FAIL): _S.FAILED,
    (_S.DOWNLOADING, _E.ABORT): _S.ABORTED,
    (_S.VERIFYING, _E.PASS): _S.STAGED,
    (_S.VERIFYING, _E.FAIL): _S.FAILED,
    (_S.VERIFYING, _E.ABORT): _S.ABORTED,
    (_S.STAGED, _E.PASS): _S.ACTIVATING,
    (_S.STAGED, _E.FAIL): _S.FAILED,
    (_S.STAGED, _E.ABORT): _S.ABORTED,
    (_S.ACTIVATING, _E.PASS): _S.PROBATION,
    (_S.ACTIVATING, _E.UNDO): _S.ROLLING_BACK,
    (_S.ACTIVATING, _E.ABORT): _S.ROLLING_BACK,
    (_S.PROBATION, _E.PASS): _S.COMMITTING,
    (_S.PROBATION, _E.UNDO): _S.ROLLING_BACK,
    (_S.PROBATION, _E.ABORT): _S.ROLLING_BACK,
    (_S.COMMITTING, _E.FINISH): _S.IDLE,
    (_S.ROLLING_BACK, _E.FINISH): _S.ROLLED_BACK,
    (_S.ROLLING_BACK, _E.LOST): _S.SAFE_MODE,
    (_S.ROLLED_BACK, _E.CLOSE): _S.IDLE,
    (_S.FAILED, _E.CLOSE): _S.IDLE,
    (_S.ABORTED, _E.CLOSE): _S.IDLE,
    (_S.IDLE, _E.LOST): _S.SAFE_MODE,
    (_S.SAFE_MODE, _E.POLL): _S.CHECKING,
}

ABORTABLE: Final = frozenset(state for state, event in TRANSITIONS if event is Event.ABORT)
"""States in which ABORT is followed; after COMMITTING it is refused and said so."""

AFTER_SWITCH: Final = frozenset({State.ACTIVATING, State.PROBATION, State.COMMITTING, State.ROLLING_BACK})
"""States in which the pointer to the active slot may already name the candidate."""

ENDED: Final = frozenset({State.IDLE, State.SAFE_MODE})
"""States in which no deployment is under way."""


class Outcome(StrEnum):
    """How a deployment ended, as the server counts it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    ABORTED = "aborted"


OUTCOMES: Final[dict[State, Outcome]] = {
    State.COMMITTING: Outcome.SUCCEEDED,
    State.FAILED: Outcome.FAILED,
    State.ROLLED_BACK: Outcome.ROLLED_BACK,
    State.ABORTED: Outcome.ABORTED,
    State.SAFE_MODE: Outcome.FAILED,
}
"""The last state of a deployment before IDLE, and what it counts as."""


def next_state(state: State, event: Event) -> State:
    """The state after `event`.

    Raises:
        IllegalTransition: the table has no row for this pair.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{event.value!r} does not apply in state {state.value!r}") from None


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    rows = [f"    {a.name} --> {b.name}: {event.value}" for (a, event), b in TRANSITIONS.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> IDLE", *rows]) + "\n"
