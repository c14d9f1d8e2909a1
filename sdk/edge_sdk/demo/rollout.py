"""A rollout as the demo follows it: each device's transitions told as they come, until the rollout has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import DeploymentView, NewRollout, OnBreach, RolloutState, RolloutView
from edge_contracts.reasons import REASONS
from edge_sdk.client import FleetClient
from edge_sdk.demo.narration import Narrator
from edge_sdk.demo.waiting import wait_for
from edge_sdk.plans import ENDED

BAKE_SECONDS: Final = 4.0
PROBATION_SECONDS: Final = 4.0
PROBATION_INFERENCES: Final = 60
"""Enough for an agent to judge a constant answer as more than chance."""
_SECONDS: Final = 120.0
_SETTLED: Final = ENDED | {RolloutState.PAUSED}
_COLOURS: Final = {Outcome.SUCCEEDED: "green", Outcome.FAILED: "red", Outcome.ROLLED_BACK: "yellow"}


@dataclass(frozen=True)
class Ended:
    """How a rollout ended, and each device's share of it."""

    view: RolloutView
    deployments: list[DeploymentView]

    def outcomes(self) -> dict[str, Outcome | None]:
        """The outcome of each device's install of the release."""
        return {each.device: each.outcome for each in self.deployments}


def roll_out(
    client: FleetClient, narrator: Narrator, model: str, version: int, name: str, on_breach: OnBreach
) -> Ended:
    """Roll a release out by canary and follow it to its end.

    Raises:
        NotAchieved: it did not end in time.
    """
    plan = NewRollout.model_validate(
        {
            "name": name,
            "model": model,
            "version": version,
            "waves": (0.25, 1.0),
            "bake_seconds": BAKE_SECONDS,
            "wave_deadline_seconds": _SECONDS,
            "probation_seconds": PROBATION_SECONDS,
            "probation_inferences": PROBATION_INFERENCES,
            "on_breach": on_breach,
        }
    )
    made = client.create_rollout(plan)
    narrator.tell(f"rollout {made.id} has begun: every profile is in its first wave")
    told: dict[str, str] = {}

    def look() -> Ended | None:
        view, deployments = client.rollout(made.id), client.deployments(made.id)
        _tell(narrator, deployments, told)
        return Ended(view, deployments) if view.state in _SETTLED and not _under_way(deployments) else None

    return wait_for(
        f"the end of rollout {made.id}", _SECONDS, look, "See `edge-sdk rollouts show` and the agents' logs."
    )


def _under_way(deployments: list[DeploymentView]) -> bool:
    return any(each.outcome is None and each.state is not None for each in deployments)


def _tell(narrator: Narrator, deployments: list[DeploymentView], told: dict[str, str]) -> None:
    for each in deployments:
        line = _line(each)
        if line and told.get(each.id) != line:
            told[each.id] = line
            narrator.tell(line)


def _line(each: DeploymentView) -> str:
    if each.outcome is None:
        return f"{each.device:6} {each.state}" if each.state else ""
    colour = _COLOURS.get(each.outcome, "white")
    why = f": {REASONS[each.reason].sentence} [dim]({each.reason})[/]" if each.reason else ""
    return f"{each.device:6} [{colour}]{each.outcome}[/]{why}"
