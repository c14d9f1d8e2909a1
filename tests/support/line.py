"""The whole line for tests: a fleet server process with its broker, the owner's keys, real agents. Only loopback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import DeploymentView, NewEnrolmentToken, NewRollout, RolloutView
from edge_converters.bundles import read_bundle
from edge_profiles.boards import load
from edge_sdk.children import Child
from edge_sdk.client import FleetClient
from edge_sdk.emulation.agent import EmulatedAgent, Plan, Rhythm
from edge_sdk.emulation.faults import Trouble
from edge_sdk.keys import Algorithm, KeyFolder, make_keys
from edge_sdk.local_server import FREE_PORTS, Ports, make_server, start_server
from edge_sdk.publishing import publish
from edge_sdk.settings import Connection
from edge_sdk.tickets import make_ticket
from edge_sdk.trusting import trust_server

ROOT = Path(__file__).resolve().parents[2]
DEVICE_PYTHON = Path(os.environ.get("EDGE_DEVICE_PYTHON") or ROOT / ".venv-device" / "bin" / "python")
RHYTHM = Rhythm(window=1.0, heartbeat=1.0, poll=5.0)
QUICK = {"waves": (1.0,), "bake_seconds": 0.5, "probation_seconds": 0.5, "wave_deadline_seconds": 60.0}
Seen = TypeVar("Seen")


class Silent:
    """Publishing without a screen."""

    def step(self, sentence: str) -> None:
        pass

    def uploading(self, name: str, total: int) -> Callable[[int], None]:
        return lambda sent: None


def no_passphrase() -> str:
    raise AssertionError("these keys are not encrypted")


def eventually(look: Callable[[], Seen | None], seconds: float, what: str) -> Seen:
    """The first answer of `look` that is not None."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen is not None:
            return seen
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


@dataclass
class Line:
    """A running server trusted by keys of its own, and the devices made so far."""

    folder: Path
    server: Child
    ports: Ports
    client: FleetClient
    keys: KeyFolder
    agents: dict[str, EmulatedAgent] = field(default_factory=dict)

    def publish(self, bundle: Path) -> int:
        """The version of the release made from a bundle."""
        return publish(read_bundle(bundle), self.keys, self.client, no_passphrase, Silent()).release.version

    def agent(
        self, name: str, profile: str, trouble: Trouble | None = None, python: Path = DEVICE_PYTHON
    ) -> EmulatedAgent:
        """A started agent, run by `python`, enrolled on its first start; the same one when asked again."""
        agent = self.agents.get(name)
        if agent is None:
            ticket = self.folder / f"{name}.ticket.json"
            make_ticket(self.client, self.keys, NewEnrolmentToken(), ticket)
            folder = self.folder / "devices" / name
            agent = EmulatedAgent(
                Plan(
                    name,
                    load(profile),
                    folder,
                    python.absolute(),
                    ticket,
                    rhythm=RHYTHM,
                    trouble=trouble or Trouble(),
                )
            )
            self.agents[name] = agent
        if not agent.running:
            agent.start()
        return agent

    def roll_out(self, version: int, *names: str, **plan: object) -> RolloutView:
        """A started rollout to the devices of these names."""
        fields = {"model": "digits", "version": version, "selector": {"devices": names}, **QUICK, **plan}
        return self.client.create_rollout(NewRollout.model_validate(fields))

    def ended(self, rollout: RolloutView, seconds: float = 60.0) -> RolloutView:
        """The rollout once it no longer runs."""

        def look() -> RolloutView | None:
            view = self.client.rollout(rollout.id)
            return view if view.state not in {"draft", "running", "rolling-back"} else None

        return eventually(look, seconds, f"the end of {rollout.id}: {self.deployments(rollout)}")

    def deployments(self, rollout: RolloutView) -> dict[str, DeploymentView]:
        """Each device's latest share of the rollout."""
        return {each.device: each for each in self.client.deployments(rollout.id)}

    def outcomes(self, rollout: RolloutView) -> Mapping[str, Outcome | None]:
        """How each device's share ended."""
        return {device: each.outcome for device, each in self.deployments(rollout).items()}

    def running_version(self, name: str) -> int | None:
        """The release a device says it runs."""
        running = self.client.device(name).running
        return running.version if running else None

    def start_server(self) -> None:
        """Start the server again on the same ports."""
        self.server, _ = start_server(self.folder / "server", self.ports, self.folder / "server.log")


@contextmanager
def running_line(folder: Path) -> Iterator[Line]:
    """A line for the length of a block; every process it started has ended afterwards."""
    token = make_server(folder / "server", ("127.0.0.1",))["admin_token"]
    server, ready = start_server(folder / "server", FREE_PORTS, folder / "server.log")
    ports = Ports(
        urlsplit(ready["operator_url"]).port or 0, urlsplit(ready["device_url"]).port or 0, ready["mqtt_port"]
    )
    with FleetClient(Connection(ready["operator_url"], token)) as client:
        line = Line(folder, server, ports, client, make_keys(folder / "keys", Algorithm.ED25519, None))
        try:
            trust_server(line.keys, client, no_passphrase)
            yield line
        finally:
            for agent in line.agents.values():
                agent.stop()
            line.server.stop()
