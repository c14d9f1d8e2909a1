"""One emulated device: its folder and settings, and the real agent that runs in it as a child process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge_contracts.manifest import ProfileClass
from edge_profiles.profile import Profile
from edge_sdk.children import Child, start_child
from edge_sdk.emulation.faults import Trouble
from edge_sdk.files import make_private_folder, write_private

READY_SECONDS: Final = 60.0
_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class Rhythm:
    """How often an agent reports and looks, in seconds. The defaults suit a person who watches."""

    window: float = 15.0
    heartbeat: float = 5.0
    poll: float = 60.0


@dataclass(frozen=True)
class Plan:
    """What to emulate: a device of `profile` called `name`, with its state in `folder`."""

    name: str
    profile: Profile
    folder: Path
    python: Path
    """The interpreter of an environment with the agent and the profile's engine."""
    ticket: Path
    labels: dict[str, str] = field(default_factory=dict)
    rhythm: Rhythm = Rhythm()
    trouble: Trouble = field(default_factory=Trouble)

    def memory_mib(self) -> float | None:
        """The memory of the model's process: the profile's budget, else its RAM.

        None for a microcontroller, whose limit is the arena that the interpreter is given: the agent that stands for
        its gateway needs the memory of a gateway.
        """
        if self.profile.profile_class is ProfileClass.MCU:
            return None
        return (self.profile.budgets.memory or self.profile.memory.ram).value / _MIB

    def settings(self) -> str:
        """The agent's settings file (TOML)."""
        tables: dict[str, dict[str, Any]] = {
            "labels": {"emulated": "yes", **self.labels},
            "inference": {"host": "127.0.0.1", "port": 0},
            "update": {"poll_s": self.rhythm.poll},
            "telemetry": {"window_s": self.rhythm.window, "heartbeat_s": self.rhythm.heartbeat},
            "link": {"reconnect_cap_s": 5.0, "will_delay_s": 5},
            "limits": {"memory_mib": self.memory_mib()},
            "faults": dict(self.trouble.settings),
        }
        head = {"state_dir": str(self.folder / "state"), "profile": self.profile.name, "name": self.name}
        lines = _entries(head)
        for table, entries in tables.items():
            lines += [f"[{table}]", *_entries(entries)]
        return "\n".join(lines) + "\n"


class EmulatedAgent:
    """A device that can be started, killed and started again; its identity and models stay in its folder."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.starts = 0
        self.facts: dict[str, Any] = {}
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """The device's name: the one the server gave it, once it is enrolled."""
        return str(self.facts.get("device", self.plan.name))

    @property
    def address(self) -> str:
        """Base URL of its local inference API."""
        return str(self.facts["inference"])

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        """The process id of the agent."""
        return self._child.pid if self._child else None

    @property
    def log(self) -> Path:
        """Where its output is."""
        return self.plan.folder / "agent.log"

    def launch(self) -> None:
        """Start its process without waiting for it.

        Raises:
            BadInput, ChildFailed: its folder cannot be written, its interpreter cannot be started.
        """
        plan = self.plan
        make_private_folder(plan.folder)
        config = plan.folder / "edge-agent.toml"
        write_private(config, plan.settings().encode())
        module = [str(plan.python), "-m", "edge_agent", "run"]
        command = [*module, "--config", str(config), "--ticket", str(plan.ticket)]
        environment = dict(plan.trouble.environment)
        self._child = start_child(f"emulated device {plan.name}", command, self.log, environment=environment)
        self.starts += 1

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it is enrolled and answers.

        Raises:
            ChildFailed: it ended or was not ready in time; the message is its own sentence.
        """
        assert self._child is not None
        self.facts = self._child.ready(seconds)["ready"]

    def start(self) -> None:
        """Launch it and wait until it is ready."""
        self.launch()
        self.await_ready()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._child is not None:
            self._child.kill()

    def stop(self) -> None:
        """End it in good order; idempotent."""
        if self._child is not None:
            self._child.stop()


def _entries(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
