"""A running server with devices that report over MQTT, so that there is something to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from edge_contracts.features import make_baselines
from edge_contracts.ids import DeploymentId, DeviceId, ProfileName
from edge_contracts.lifecycle import State
from edge_contracts.manifest import Baseline, Manifest
from edge_contracts.messages import RunningRelease
from tests.edge_fleet import server_case
from tests.edge_fleet.fleet_case import Array, Reporter, images
from tests.edge_fleet.server_case import Device, Owner, Server, make_bundle, must, publish, put_trust


@dataclass
class BusyFleet:
    """The server and its devices, each connected."""

    server: Server
    owner: Owner = field(default_factory=Owner)
    devices: dict[DeviceId, Reporter] = field(default_factory=dict)
    profiles: dict[DeviceId, ProfileName] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def begin(self) -> None:
        """The owner takes the server."""
        with self.server.operator() as operator:
            put_trust(operator, self.owner)

    def publish(self, version: int) -> Manifest:
        """A signed release with a baseline of 600 pictures."""
        bundle = make_bundle(version)
        reference = images(np.random.default_rng(1), 600)
        baseline = Baseline(n=600, features=make_baselines("x", reference), classes=(60,) * 10)
        bundle.manifest = bundle.manifest.model_copy(
            update={"baseline": baseline, "labels": tuple("0123456789"), "created": datetime.now(UTC)}
        )
        with self.server.operator() as operator:
            publish(operator, self.owner, bundle)
        return bundle.manifest

    def enrol(self, name: str, profile: ProfileName = server_case.PROFILES[0]) -> Reporter:
        """A device with an identity from the server, connected and born."""
        device = Device(profile)
        device.enrol(self.server, name=name)
        address = ("localhost", int(self.server.ready["mqtt_port"]))
        reporter = Reporter.enrolled(address, device.tls(self.server), device.id)
        reporter.connect()
        self.stack.callback(reporter.close)
        reporter.birth()
        self.devices[device.id], self.profiles[device.id] = reporter, profile
        return reporter

    def roll_out(self, version: int, **fields: Any) -> str:
        """A started rollout; the id."""
        plan = {"model": "digits", "version": version, "bake_seconds": 0.0} | fields
        with self.server.operator() as operator:
            return str(must(operator.post("/v1/rollouts", json=plan), 201).json()["id"])

    def open_deployments(self, rollout: str) -> dict[DeviceId, DeploymentId]:
        """Devices whose turn it is, with what they were given."""
        with self.server.operator() as operator:
            rows = must(operator.get(f"/v1/rollouts/{rollout}/deployments", params={"limit": 500})).json()["items"]
            wave = must(operator.get(f"/v1/rollouts/{rollout}")).json()["wave"]
        return {row["device"]: row["id"] for row in rows if row["outcome"] is None and row["wave"] <= wave}

    def wait_for_turns(self, rollout: str, count: int, seconds: float = 20) -> dict[DeviceId, DeploymentId]:
        """Until so many devices have been asked."""
        deadline = time.monotonic() + seconds
        while len(given := self.open_deployments(rollout)) < count:
            assert time.monotonic() < deadline, given
            time.sleep(0.1)
        return given

    def wait_for_state(self, rollout: str, state: str, seconds: float = 20) -> None:
        """Until the rollout is there."""
        deadline = time.monotonic() + seconds
        with self.server.operator() as operator:
            while (view := must(operator.get(f"/v1/rollouts/{rollout}")).json())["state"] != state:
                assert time.monotonic() < deadline, view
                time.sleep(0.1)

    def commit(self, device: DeviceId, deployment: DeploymentId, version: int, **outcome: Any) -> None:
        """The device reports the end, and runs the release from then on."""
        reporter = self.devices[device]
        reporter.report(deployment, State.COMMITTING, **outcome)
        self.serve(device, version)

    def serve(self, device: DeviceId, version: int, fallback: bool = False) -> None:
        """The device says what it runs."""
        npu = self.profiles[device] == server_case.PROFILES[1]
        self.devices[device].heartbeat(
            State.IDLE,
            RunningRelease(
                model=server_case.MODEL,
                version=version,
                variant=f"{self.profiles[device]}-int8",
                engine="onnxruntime" if npu else "litert",
                accelerator="cpu" if fallback or not npu else "qnn-htp",
                fallback=fallback,
                coverage=0.97 if npu and not fallback else None,
            ),
        )

    def infer(self, device: DeviceId, release: Manifest, pictures: Array) -> None:
        """One window over these inputs."""
        self.devices[device].window(release, pictures, datetime.now(UTC))


@contextmanager
def busy_fleet(server: Server) -> Iterator[BusyFleet]:
    """The owner's fleet; devices leave at the end."""
    fleet = BusyFleet(server)
    with fleet.stack:
        fleet.begin()
        yield fleet
