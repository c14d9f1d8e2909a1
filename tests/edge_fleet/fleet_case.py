"""A fleet server's inside for one test: real database, real broker, real assignments, a clock the test turns."""

from __future__ import annotations

import queue
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from securesystemslib.signer import CryptoSigner
from sqlalchemy import select

from edge_contracts.codec import decode, encode
from edge_contracts.features import bin_indices, compute, make_baselines
from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, ProfileName, TenantId, VariantName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.manifest import (
    Baseline,
    DataType,
    Engine,
    EngineNeeds,
    FileRef,
    Lineage,
    Manifest,
    ProfileClass,
    TensorSpec,
    Tolerance,
    Variant,
    write_manifest,
)
from edge_contracts.messages import Ack, Birth, Command, DeploymentReport, Heartbeat, RunningRelease
from edge_contracts.operations import Gates, NewRollout
from edge_contracts.reasons import Reason
from edge_contracts.topics import ACK, BIRTH, COMMAND, DESIRED, EVENT, HEARTBEAT, WINDOW, Direction, Topic, topic_name
from edge_contracts.topics import TOPICS as ALL_TOPICS
from edge_contracts.window import FeatureCounts, TelemetryWindow
from edge_contracts.wire import Wire
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.adapters.mqtt import PahoLink
from edge_fleet.adapters.vault import FileVault
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.releases import ArtifactRow, ReleaseRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow
from edge_fleet.services import rollouts
from edge_fleet.services.announcements import Announcements
from edge_fleet.services.assignments import Assignments
from edge_fleet.services.changes import Changes
from edge_fleet.services.drift import DriftWatch
from edge_fleet.services.ingest import Ingest
from edge_fleet.services.scheduler import Scheduler
from edge_fleet.settings import Rhythm
from tests.support.broker import Broker

TENANT = TenantId("default")
MODEL = ModelName("digits")
PROFILES = (ProfileName("rpi4-litert"), ProfileName("hexagon-qnn"))
FEATURE_COUNT = 6
Array = np.typing.NDArray[np.float64]
Message = TypeVar("Message", bound=Wire)


def images(rng: np.random.Generator, n: int, brightness: float = 1.0) -> Array:
    """Pictures of strokes of various strength, shape [n, 8, 8], values 0..1."""
    strength = rng.gamma(4, 0.25, (n, 1, 1))
    return np.clip(np.abs(rng.normal(0.0, 0.4, (n, 8, 8))) * strength * brightness, 0, 1)


def manifest(version: int) -> Manifest:
    """A release for both profiles, with a baseline made of 600 pictures."""
    tensor = TensorSpec(name="x", datatype=DataType.FP32, shape=(-1, 8, 8))
    nothing = FileRef(digest=Digest.of(b"made up"), length=7)
    variants = tuple(
        Variant(
            name=VariantName(f"{profile}-int8"),
            profile=profile,
            profile_class=ProfileClass.CPU,
            format="onnx",
            scheme="int8",
            needs=EngineNeeds(engine=Engine.ONNXRUNTIME),
            model=nothing,
            golden=nothing,
            payload=nothing,
            inputs=(tensor,),
            outputs=(tensor,),
            tolerance=Tolerance(absolute=1e-3),
            recipe_digest=nothing.digest,
        )
        for profile in PROFILES
    )
    reference = images(np.random.default_rng(1), 600)
    return Manifest(
        model=MODEL,
        version=version,
        created=datetime(2026, 11, 1, tzinfo=UTC),
        variants=variants,
        labels=tuple("0123456789"),
        baseline=Baseline(n=600, features=make_baselines("x", reference), classes=(60,) * 10),
        lineage=Lineage(source_digest=nothing.digest, source_name="digits.keras", tool_version="0.1.0"),
    )


@dataclass
class FleetCase:
    """The parts, and the deeds of a test. Nothing runs by itself: `settle` turns every wheel until nothing moves."""

    folder: Path
    broker: Broker
    link: PahoLink
    database: Database
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    vault: FileVault = field(default_factory=lambda: FileVault(b"k" * 32))
    changes: Changes = field(default_factory=Changes)

    def __post_init__(self) -> None:
        rhythm = Rhythm(silent_after_seconds=60)
        self.assignments = Assignments(TENANT, CryptoSigner.generate_ed25519(), self.vault, timedelta(days=7))
        self.restart(rhythm)

    def restart(self, rhythm: Rhythm | None = None) -> None:
        """New services on the same rows, as after a crash of the server."""
        rhythm = rhythm or Rhythm(silent_after_seconds=60)
        self.ingest = Ingest(self.database, self.clock, self.changes, self.link, TENANT)
        self.scheduler = Scheduler(self.database, self.clock, self.changes, self.link, self.assignments, rhythm)
        self.announcements = Announcements(self.database, self.link)
        self.drift = DriftWatch(self.database, self.clock, self.changes, rhythm.drift_seconds)

    def clock(self) -> datetime:
        """The test's time."""
        return self.now

    def pass_time(self, seconds: float) -> None:
        """Turn the clock and the scheduler."""
        self.now += timedelta(seconds=seconds)
        self.scheduler.tick()

    def publish(self, version: int) -> Manifest:
        """A release as if it had been uploaded."""
        release = manifest(version)
        with self.database.write() as session:
            session.add(
                ReleaseRow(
                    model=MODEL,
                    version=version,
                    manifest=write_manifest(release),
                    published=self.now,
                    published_by="ci",
                    targets_version=version,
                )
            )
            session.flush()
            for variant in release.variants:
                digest = variant.payload.digest
                session.add(
                    ArtifactRow(
                        model=MODEL,
                        version=version,
                        variant=variant.name,
                        digest=digest,
                        length=7,
                        sealed_key=self.vault.seal(b"a" * 32, digest),
                    )
                )
        return release

    def enrol(self, name: str, profile: ProfileName = PROFILES[0], **labels: str) -> DeviceId:
        """A device as if it had enrolled."""
        with self.database.write() as session:
            session.add(
                DeviceRow(
                    id=DeviceId(name),
                    profile=profile,
                    labels=labels,
                    hpke_public_key=X25519PrivateKey.generate().public_key().public_bytes_raw(),
                    enrolled=self.now,
                    counter=0,
                    connected=False,
                    engines=(),
                    rss_bytes=0,
                    inferences=0,
                    spool_bytes=0,
                )
            )
        return DeviceId(name)

    def roll_out(self, version: int, **fields: Any) -> str:
        """A started rollout; the id."""
        gates = fields.pop("gates", Gates())
        plan = NewRollout(model=MODEL, version=version, gates=gates, **({"bake_seconds": 60.0} | fields))
        with self.database.write() as session:
            rollout = rollouts.create(session, self.assignments, plan, "ann", self.now).id
        self.scheduler.tick()
        return rollout

    def verb(self, rollout: str, verb: rollouts.Verb) -> None:
        """What an operator does."""
        with self.database.write() as session:
            row = rollouts.find(session, rollout)
            rollouts.change(session, self.assignments, row, rollouts.Change(verb, "ann", "by hand", self.now))

    def rollout(self, rollout: str) -> RolloutRow:
        """The row as it is now."""
        with self.database.read() as session:
            return rollouts.find(session, rollout)

    def deployments(self, rollout: str) -> list[DeploymentRow]:
        """Its rows as they are now, by device."""
        query = select(DeploymentRow).where(DeploymentRow.rollout == rollout)
        with self.database.read() as session:
            return list(session.scalars(query.order_by(DeploymentRow.device, DeploymentRow.kind)))

    def deployment(self, rollout: str, device: DeviceId) -> DeploymentRow:
        """The first row of a device."""
        return next(row for row in self.deployments(rollout) if row.device == device)

    def device(self, device: DeviceId) -> DeviceRow:
        """The row as it is now."""
        with self.database.read() as session:
            row = session.get(DeviceRow, device)
            assert row is not None
            return row

    def take_in(self, until: Callable[[], bool], seconds: float = 10) -> None:
        """Ingest what the broker has until the condition holds."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, "it did not come to pass"
            messages = self.link.receive(100, 0.1)
            if messages:
                self.ingest.take(messages)

    @contextmanager
    def connected(self, *devices: DeviceId) -> Iterator[list[Reporter]]:
        """The devices' sides of the broker, born and known to the server."""
        reporters = [Reporter(self.broker, device) for device in devices]
        try:
            for reporter in reporters:
                reporter.connect()
                reporter.birth()
            self.take_in(lambda: all(self.device(device).connected for device in devices))
            yield reporters
        finally:
            for reporter in reporters:
                reporter.close()

    def report(self, reporter: Reporter, rollout: str, state: State, **fields: Any) -> None:
        """The device reports of its open deployment, and the server has taken it."""
        row = next(row for row in self.deployments(rollout) if row.device == reporter.device and row.open)
        sequence = reporter.report(row.id, state, **fields)
        self.take_in(lambda: sequence in reporter.acknowledged())


class Reporter:
    """The reporting half of an agent: its own certificate, connection and sequence."""

    def __init__(self, broker: Broker, device: DeviceId) -> None:
        context = broker.authority.issue(device).client_context()
        self._begin((broker.host, broker.port), context, device)

    @classmethod
    def enrolled(cls, address: tuple[str, int], context: ssl.SSLContext, device: DeviceId) -> Reporter:
        """One whose certificate a real server has issued."""
        reporter = cls.__new__(cls)
        reporter._begin(address, context, device)
        return reporter

    def _begin(self, address: tuple[str, int], context: ssl.SSLContext, device: DeviceId) -> None:
        self.device = device
        self.boot = f"boot-{device}"
        self.sequence = 0
        self.received: queue.Queue[tuple[Topic, bytes]] = queue.Queue()
        self._acks: set[int] = set()
        self._commands: list[Command] = []
        self._address = address
        self._client = Client(CallbackAPIVersion.VERSION2, device, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_message = self._on_message

    def connect(self) -> None:
        """Returns when subscribed."""
        subscribed: queue.Queue[int] = queue.Queue()
        self._client.on_subscribe = lambda *_: subscribed.put(1)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(topic_name(topic, TENANT, self.device), topic.qos) for topic in (DESIRED, COMMAND, ACK)]
        )
        self._client.connect(*self._address)
        self._client.loop_start()
        subscribed.get(timeout=10)

    def close(self) -> None:
        """Leave in good order."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: Topic, message: Wire) -> None:
        """Publish; returns when the broker has it."""
        self.send_bytes(topic, encode(message))

    def send_bytes(self, topic: Topic, payload: bytes) -> None:
        """Publish anything at all."""
        sent = self._client.publish(topic_name(topic, TENANT, self.device), payload, max(topic.qos, 1), topic.retain)
        sent.wait_for_publish(5)

    def birth(self, running: RunningRelease | None = None) -> None:
        """Say who one is."""
        self.send(
            BIRTH,
            Birth(
                boot=self.boot,
                at=time.time(),
                profile=PROFILES[0],
                agent_version="0.1.0",
                engines=("onnxruntime/cpu",),
                state=State.IDLE,
                running=running,
            ),
        )

    def heartbeat(self, state: State = State.IDLE, running: RunningRelease | None = None) -> None:
        """Say where one stands."""
        self.send(HEARTBEAT, Heartbeat(boot=self.boot, at=time.time(), state=state, running=running, inferences=7))

    def report(self, deployment: DeploymentId, state: State, **fields: Any) -> int:
        """A transition; its sequence."""
        self.sequence += 1
        self.send(
            EVENT,
            DeploymentReport(
                boot=self.boot,
                sequence=self.sequence,
                at=time.time(),
                deployment=deployment,
                model=MODEL,
                version=1,
                state=state,
                **fields,
            ),
        )
        return self.sequence

    def window(self, release: Manifest, pictures: Array, start: datetime, seconds: float = 5.0) -> int:
        """A telemetry window over these inputs; its sequence."""
        self.sequence += 1
        self.send(WINDOW, make_window(release, pictures, start, self.boot, self.sequence, seconds))
        return self.sequence

    def acknowledged(self) -> set[int]:
        """Sequences the server has committed."""
        self._drain()
        return self._acks

    def commands(self) -> list[Command]:
        """What the server has asked for."""
        self._drain()
        return self._commands

    def _drain(self) -> None:
        while not self.received.empty():
            topic, payload = self.received.get()
            if topic is ACK:
                self._acks.update(decode(Ack, payload).sequences)
            if topic is COMMAND:
                self._commands.append(decode(Command, payload))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        suffix = message.topic.rsplit("/", 1)[1]
        topic = next(t for t in ALL_TOPICS if t.suffix == suffix and t.direction is Direction.DOWN)
        self.received.put((topic, bytes(message.payload)))


def make_window(
    release: Manifest, pictures: Array, start: datetime, boot: str, sequence: int, seconds: float = 5.0
) -> TelemetryWindow:
    """What an agent would count of these inputs."""
    features = {}
    for feature in release.baseline.features:
        values = compute(feature, pictures)
        counts = np.bincount(bin_indices(feature, values), minlength=32)
        features[feature.name] = FeatureCounts(
            total=float(values.sum()), squares=float((values**2).sum()), counts=tuple(int(c) for c in counts)
        )
    n = len(pictures)
    classes = np.bincount(np.arange(n) % 10, minlength=10)
    return TelemetryWindow(
        model=release.model,
        version=release.version,
        variant=release.variants[0].name,
        model_digest=release.variants[0].model.digest,
        start=start.timestamp(),
        end=start.timestamp() + seconds,
        boot=boot,
        sequence=sequence,
        n=n,
        features=features,
        classes=tuple(int(c) for c in classes),
        latency=(0,) * 20 + (n,) + (0,) * 43,
    )


SUCCESS: dict[str, Any] = {"outcome": Outcome.SUCCEEDED}
BAD_OUTPUTS: dict[str, Any] = {"outcome": Outcome.FAILED, "reason": Reason.SELFTEST_OUTPUTS, "detail": "off by 0.7"}


@contextmanager
def fleet_case(folder: Path, broker: Broker) -> Iterator[FleetCase]:
    """The parts, connected."""
    database = Database(sqlite_url(folder / "fleet.db"))
    database.migrate()
    context = broker.server().client_context()
    with PahoLink(broker.host, broker.port, context, TENANT, "server") as link:
        deadline = time.monotonic() + 10
        while not link.connected:
            assert time.monotonic() < deadline, broker.log()
            time.sleep(0.02)
        yield FleetCase(folder, broker, link, database)
    database.close()
