"""What a device shall run: chosen for its profile and engines, wrapped to it alone, signed fresh, never replayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from securesystemslib.signer import CryptoSigner
from sqlalchemy import select

from edge_contracts.api import ARTIFACTS_PATH, ASSIGNMENT_PATH
from edge_contracts.assignments import Assignment, Kind, open_assignment, read_director_key
from edge_contracts.errors import Refused
from edge_contracts.ids import DeploymentId, DeviceId, Digest
from edge_contracts.keywrap import unwrap_key
from edge_contracts.manifest import Accelerator, Engine, EngineNeeds, FileRef, Manifest
from edge_contracts.operations import ReleaseView
from edge_contracts.verification import Device as Verifier
from edge_contracts.verification import verify_artifact, verify_assignment, verify_release
from edge_fleet.adapters import online_keys, vault
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.adapters.vault import FileVault
from edge_fleet.domain.variants import choose_variant
from edge_fleet.errors import Conflict, FleetError, NotFound, Rejected
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.releases import ArtifactRow, AssignmentRow, ReleaseRow
from edge_fleet.services.assignments import Assignments
from tests.edge_fleet.server_case import (
    MODEL,
    PROFILES,
    TENANT,
    Bundle,
    Device,
    Owner,
    Server,
    make_bundle,
    must,
    publish,
    put_trust,
)

WEEK = timedelta(days=7)


@dataclass
class Desk:
    """A database with two devices and a release, and the director's desk on it."""

    database: Database
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    director: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    vault: FileVault = field(default_factory=lambda: FileVault(b"k" * 32))
    bundle: Bundle = field(default_factory=lambda: make_bundle(1, size=100))
    keys: dict[DeviceId, X25519PrivateKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.assignments = Assignments(TENANT, self.director, self.vault, WEEK)
        with self.database.write() as session:
            manifest = self.bundle.manifest
            release = ReleaseRow(
                model=manifest.model,
                version=manifest.version,
                manifest=self.bundle.manifest_bytes,
                published=self.now,
                published_by="me",
                targets_version=2,
            )
            session.add(release)
            session.flush()
            for artifact in self.bundle.artifacts():
                row = ArtifactRow(
                    model=manifest.model,
                    version=manifest.version,
                    variant=artifact.variant,
                    digest=artifact.digest,
                    length=artifact.length,
                    sealed_key=self.vault.seal(artifact.key, artifact.digest),
                )
                session.add(row)
            for number, profile in enumerate(PROFILES):
                device = DeviceId(f"cam-{number}")
                self.keys[device] = X25519PrivateKey.generate()
                public = self.keys[device].public_key().public_bytes_raw()
                session.add(DeviceRow(id=device, profile=profile, labels={}, hpke_public_key=public, enrolled=self.now))

    def assign(self, device: str = "cam-0", deployment: str = "d-1", **changes: object) -> Assignment:
        wish = {"model": MODEL, "version": 1, "now": self.now} | changes
        with self.database.write() as session:
            return self.assignments.assign(
                session, device=DeviceId(device), deployment=DeploymentId(deployment), **wish
            )

    def change(self, device: str, **values: object) -> None:
        with self.database.write() as session:
            row = session.get_one(DeviceRow, DeviceId(device))
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = Database(sqlite_url(tmp_path / "fleet.sqlite"))
    database.migrate()
    yield Desk(database)
    database.close()


def test_the_artifact_key_is_wrapped_to_the_one_device(desk: Desk) -> None:
    assignment = desk.assign()
    assert assignment.wrapped_key is not None
    ciphertext = desk.bundle.ciphertexts[assignment.variant]
    wrapped = assignment.wrapped_key.ciphertext
    mine, other = DeviceId("cam-0"), DeviceId("cam-1")
    key = unwrap_key(wrapped, desk.keys[mine], mine, Digest.of(ciphertext))
    assert key == desk.bundle.keys[assignment.variant]
    with pytest.raises(Refused):
        unwrap_key(wrapped, desk.keys[other], other, Digest.of(ciphertext))


def test_each_device_gets_the_variant_of_its_profile(desk: Desk) -> None:
    assert desk.assign("cam-0").variant == "rpi4-litert-int8"
    assert desk.assign("cam-1").variant == "hexagon-qnn-int8"


def test_a_revert_names_the_release_and_carries_no_key(desk: Desk) -> None:
    assert desk.assign(kind=Kind.REVERT).wrapped_key is None


def test_the_counter_of_a_device_only_ever_grows(desk: Desk) -> None:
    counters = [desk.assign(deployment=f"d-{i}").counter for i in range(3)]
    with desk.database.write() as session:
        assert desk.assignments.withdraw(session, DeviceId("cam-0"), DeploymentId("d-2"))
        assert not desk.assignments.withdraw(session, DeviceId("cam-0"), DeploymentId("d-2"))
    assert counters == [1, 2, 3]
    assert desk.assign().counter == 4
    with desk.database.read() as session:
        assert len(session.scalars(select(AssignmentRow)).all()) == 1


def test_an_assignment_is_renewed_before_it_expires_under_the_same_counter(desk: Desk) -> None:
    first = desk.assign()
    desk.now += timedelta(days=8)
    with desk.database.write() as session:
        row = desk.assignments.renew(session, DeviceId("cam-0"), desk.now)
        assert row is not None
        fresh = open_assignment(desk.assignments.sign(row), desk.director.public_key)
    assert fresh.counter == first.counter
    assert fresh.expires == desk.now + WEEK
    assert fresh.nonce != first.nonce


def test_what_cannot_be_assigned_is_refused_with_its_reason(desk: Desk) -> None:
    with pytest.raises(NotFound, match="no device"):
        desk.assign("nobody")
    with pytest.raises(NotFound, match="no release"):
        desk.assign(version=2)
    desk.change("cam-0", engines=("litert/cpu",))
    with pytest.raises(Rejected, match="engines: litert/cpu"):
        desk.assign("cam-0")
    desk.change("cam-1", revoked=desk.now)
    with pytest.raises(Conflict, match="revoked"):
        desk.assign("cam-1")


def test_a_key_moved_to_another_artifact_or_another_vault_does_not_open(desk: Desk) -> None:
    first, second = desk.bundle.artifacts()
    sealed = desk.vault.seal(first.key, first.digest)
    assert desk.vault.open(sealed, first.digest) == first.key
    for safe, digest in ((desk.vault, second.digest), (FileVault(b"x" * 32), first.digest)):
        with pytest.raises(FleetError, match="does not open"):
            safe.open(sealed, digest)


@pytest.mark.parametrize(
    ("engines", "chosen"),
    [
        ((), "first"),
        (("litert/gpu", "onnxruntime/cpu"), "first"),
        (("litert/cpu",), "first"),
        (("onnxruntime/cpu",), "second"),
        (("onnxruntime/qnn-htp",), None),
    ],
)
def test_the_first_variant_that_the_reported_engines_can_run_is_taken(
    engines: tuple[str, ...], chosen: str | None
) -> None:
    manifest = make_bundle(1, size=10).manifest
    gpu = EngineNeeds(engine=Engine.LITERT, accelerator=Accelerator.GPU, fallback=Accelerator.CPU)
    variants = [
        manifest.variants[0].model_copy(update={"name": name, "needs": needs})
        for name, needs in (("first", gpu), ("second", EngineNeeds(engine=Engine.ONNXRUNTIME)))
    ]
    made: Manifest = manifest.model_copy(update={"variants": tuple(variants)})
    variant = choose_variant(made, PROFILES[0], engines)
    assert (variant and variant.name) == chosen


def test_a_device_verifies_every_step_of_what_the_running_server_hands_out(server: Server) -> None:
    owner, bundle, device = Owner(), make_bundle(1), Device()
    folder = server.folder
    with server.operator() as operator:
        put_trust(operator, owner)
        publish(operator, owner, bundle)
        device.enrol(server)
        assign_long_ago(folder, device.id)
        with device.client(server) as client:
            envelope = must(client.get(ASSIGNMENT_PATH)).content
            view = ReleaseView.model_validate_json(must(operator.get(f"/v1/releases/{MODEL}/1")).content)
            (director,) = (folder / "repository" / "targets" / "director").iterdir()
            verifier = Verifier(TENANT, device.id, device.profile, 0, {}, {}, (), lambda needs: True)
            key = read_director_key(director.read_bytes())
            assignment = verify_assignment(envelope, key, verifier, datetime.now(UTC))
            digest = view.artifacts[assignment.variant]
            ciphertext = must(client.get(ARTIFACTS_PATH + digest.hex)).content
    manifest_file = FileRef(digest=Digest.of(bundle.manifest_bytes), length=len(bundle.manifest_bytes))
    artifact_file = FileRef(digest=digest, length=len(ciphertext))
    plan = verify_release(assignment, bundle.manifest_bytes, manifest_file, artifact_file, verifier)
    payload = verify_artifact(plan, ciphertext, device.id, device.hpke)
    assert Digest.of(payload.model) == plan.variant.model.digest


def assign_long_ago(folder: Path, device: DeviceId) -> None:
    """As a rollout of last month did, by the server's own keys: what is handed out now must be fresh."""
    signers, safe = online_keys.load_online_keys(folder / "keys"), vault.load_vault(folder / "keys")
    database = Database(sqlite_url(folder / "fleet.sqlite"))
    with database.write() as session:
        Assignments(TENANT, signers.director, safe, WEEK).assign(
            session,
            device=device,
            deployment=DeploymentId("d-1"),
            model=MODEL,
            version=1,
            now=datetime.now(UTC) - timedelta(days=30),
        )
    database.close()
