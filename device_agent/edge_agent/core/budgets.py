"""What a download may cost: when the next attempt is made, and when it is given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.core.updating import Move, Standing, UpdateSettings, Wait
from edge_contracts.lifecycle import Event
from edge_contracts.reasons import Reason


@dataclass(frozen=True)
class Attempt:
    """What one download attempt brought. `problem` is empty if it was complete or was stopped on purpose."""

    received: int
    complete: bool
    problem: str = ""


def counted(standing: Standing, attempt: Attempt) -> Standing:
    """The standing with `attempt` taken from the download's budget; one stopped on purpose costs its bytes only."""
    fruitless = standing.fruitless + 1 if attempt.problem and not attempt.received else 0
    return standing.model_copy(
        update={
            "attempts": standing.attempts + bool(attempt.problem),
            "fruitless": fruitless,
            "received": standing.received + attempt.received,
        }
    )


def after_attempt(
    standing: Standing, attempt: Attempt, length: int, settings: UpdateSettings, jitter: Callable[[], float]
) -> Move | Wait:
    """Go on, wait, or give up. `length` is the signed one; `jitter` gives 0..1 (full jitter: AWS Architecture Blog,
    "Exponential Backoff And Jitter", 2015)."""
    if attempt.complete:
        return Move(Event.FINISH)
    if not attempt.problem:
        return Wait(0.0)
    if standing.fruitless >= settings.max_fruitless:
        return Move(Event.FAIL, Reason.TRANSPORT, f"{standing.fruitless} attempts in vain: {attempt.problem}")
    if standing.attempts >= settings.max_attempts or standing.received > 2 * length + 1024 * 1024:
        spent = f"{standing.attempts} attempts, {standing.received} bytes for {length}"
        return Move(Event.FAIL, Reason.DOWNLOAD_BUDGET, f"{spent}: {attempt.problem}")
    return Wait(backoff(standing.fruitless, settings, jitter))


def backoff(failures: int, settings: UpdateSettings, jitter: Callable[[], float]) -> float:
    """Seconds to wait after so many failures in a row: full jitter below a doubling, capped bound."""
    bound = min(settings.backoff_cap_seconds, settings.backoff_seconds * 2.0 ** min(failures, 32))
    return bound * jitter()
