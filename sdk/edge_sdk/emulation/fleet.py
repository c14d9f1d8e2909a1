"""Several emulated devices together: started one after the other, watched, started again when they die, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import httpx

from edge_sdk.emulation.agent import EmulatedAgent, Plan
from edge_sdk.errors import ChildFailed

RESTART_SECONDS: Final = 2.0
"""Pause before a dead agent is started again, as a service manager would."""
_PROBE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Status:
    """How one emulated device is."""

    name: str
    profile: str
    address: str
    pid: int | None
    running: bool
    serving: bool
    """Whether a model answers."""
    starts: int


class EmulatedFleet:
    """A context manager; leaving it stops every agent. Use it in the main thread only (see `children.py`)."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.agents = [EmulatedAgent(plan) for plan in plans]
        self._dead_since: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for agent in self.agents:
            agent.stop()

    def start(self, told: Callable[[EmulatedAgent], None]) -> None:
        """Start all of them; `told` is called as each becomes ready.

        Raises:
            ChildFailed: an agent does not start; the others are stopped on leaving.
        """
        for agent in self.agents:
            agent.launch()
        for agent in self.agents:
            agent.await_ready()
            told(agent)

    def revive(self) -> list[EmulatedAgent]:
        """Start agents again that died a moment ago; those that were started."""
        started = []
        for agent in self.agents:
            if agent.running:
                self._dead_since.pop(agent.plan.name, None)
            elif time.monotonic() - self._dead_since.setdefault(agent.plan.name, time.monotonic()) > RESTART_SECONDS:
                agent.stop()
                try:
                    agent.start()
                except ChildFailed:
                    self._dead_since[agent.plan.name] = time.monotonic()
                else:
                    started.append(agent)
        return started

    def status(self) -> list[Status]:
        """How each device is now."""
        return [_status(agent) for agent in self.agents]


def _status(agent: EmulatedAgent) -> Status:
    running = agent.running
    return Status(
        name=agent.name,
        profile=agent.plan.profile.name,
        address=agent.address,
        pid=agent.pid if running else None,
        running=running,
        serving=running and _serves(agent.address),
        starts=agent.starts,
    )


def _serves(address: str) -> bool:
    try:
        return httpx.get(f"{address}/v2/health/ready", timeout=_PROBE_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False
