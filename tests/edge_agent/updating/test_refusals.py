"""What a device refuses, each with its reason code; whatever was running goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from securesystemslib.signer import CryptoSigner

from edge_agent.adapters.identity import Identity
from edge_contracts.assignments import director_key_bytes
from edge_contracts.ids import DeviceId, TenantId, VariantName
from edge_contracts.lifecycle import State
from edge_contracts.manifest import Engine
from edge_contracts.reasons import REASONS, Reason, Retry
from edge_contracts.targets import DIRECTOR_TARGET
from tests.edge_agent.updating.device import Census, Device, enrolled, open_device
from tests.edge_agent.updating.door import Door, Faults, Published, open_door, with_signature_of


@dataclass
class Attack:
    """A device that runs version 2 after version 1, and a door that hands out version 3 under `name`."""

    door: Door
    device: Device
    old: Published
    new: Published
    name: str = "d-0"

    def assign(self, **changes: Any) -> None:
        self.door.assign(self.new, self.name, **changes)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """Made once: what is refused leaves the device as it was."""
    door_folder, state_dir = tmp_path_factory.mktemp("door"), tmp_path_factory.mktemp("state")
    with open_door(door_folder) as door, open_device(enrolled(door, state_dir), state_dir) as device:
        door.counter = 5
        old = door.publish(1)
        door.assign(door.publish(2), "d-1")
        device.settle()
        yield Attack(door, device, old, door.publish(3))


def another_device(attack: Attack) -> None:
    attack.assign(device=DeviceId("gate-8"))


def another_tenant(attack: Attack) -> None:
    attack.assign(tenant=TenantId("umbrella"))


def expired(attack: Attack) -> None:
    attack.assign(expires=datetime.now(UTC) - timedelta(seconds=1))


def replayed(attack: Attack) -> None:
    attack.assign(counter=1)


def old_release(attack: Attack) -> None:
    attack.door.assign(attack.old, attack.name)


def wrong_director(attack: Attack) -> None:
    attack.assign(director=CryptoSigner.generate_ed25519())


def forged_signature(attack: Attack) -> None:
    attack.assign(counter=99)
    other = attack.door.envelope
    attack.assign()
    attack.door.envelope = with_signature_of(attack.door.envelope, other)


def unknown_release(attack: Attack) -> None:
    attack.assign(version=9)


def unknown_variant(attack: Attack) -> None:
    attack.assign(variant=VariantName("another"))


def tampered_artifact(attack: Attack) -> None:
    attack.door.faults.swap = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    attack.assign()


def shortened_artifact(attack: Attack) -> None:
    attack.door.faults.swap = lambda data: data[:-100]
    attack.assign()


def lengthened_artifact(attack: Attack) -> None:
    attack.door.faults.swap = lambda data: data + b"more"
    attack.assign()


def endless_artifact(attack: Attack) -> None:
    attack.door.faults.endless = True
    attack.assign()


def missing_artifact(attack: Attack) -> None:
    attack.door.faults.status = 503
    attack.assign()


def swapped_key(attack: Attack) -> None:
    own = attack.door.hpke
    attack.door.hpke = X25519PrivateKey.generate().public_key()
    attack.assign()
    attack.door.hpke = own


def no_key(attack: Attack) -> None:
    attack.assign(wrapped_key=None)


def revert_to_what_it_does_not_hold(attack: Attack) -> None:
    attack.assign(kind="revert")


CASES: list[tuple[Callable[[Attack], None], Reason]] = [
    (another_device, Reason.ASSIGNMENT_OTHER_DEVICE),
    (another_tenant, Reason.ASSIGNMENT_OTHER_DEVICE),
    (expired, Reason.ASSIGNMENT_EXPIRED),
    (replayed, Reason.ASSIGNMENT_REPLAYED),
    (old_release, Reason.RELEASE_TOO_OLD),
    (wrong_director, Reason.ASSIGNMENT_SIGNATURE),
    (forged_signature, Reason.ASSIGNMENT_SIGNATURE),
    (unknown_release, Reason.RELEASE_UNKNOWN),
    (unknown_variant, Reason.RELEASE_INCOMPATIBLE),
    (tampered_artifact, Reason.ARTIFACT_DIGEST),
    (shortened_artifact, Reason.ARTIFACT_LENGTH),
    (lengthened_artifact, Reason.ARTIFACT_LENGTH),
    (endless_artifact, Reason.ARTIFACT_LENGTH),
    (missing_artifact, Reason.TRANSPORT),
    (swapped_key, Reason.ARTIFACT_KEY),
    (no_key, Reason.ARTIFACT_KEY),
    (revert_to_what_it_does_not_hold, Reason.RELEASE_TOO_OLD),
]


@pytest.mark.parametrize(("attack", "reason"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_it_is_refused_with_its_reason(stage: Attack, attack: Callable[[Attack], None], reason: Reason) -> None:
    door, device = stage.door, stage.device
    door.faults = Faults()
    case = replace(stage, name="d-" + attack.__name__.replace("_", "-"))
    attack(case)
    device.settle()
    assert device.reports.ends()[-1] == (case.name, "failed", reason.value)
    assert device.journal.history(2)[0].reason is reason
    assert device.updater.state is State.IDLE
    assert device.running == 2
    assert device.slots.held == {device.slots.active}
    # Told once: the same envelope at the next look is no news.
    reports = len(device.reports.lines())
    device.settle()
    assert REASONS[reason].retry is Retry.BACKOFF or len(device.reports.lines()) == reports


def test_an_old_copy_of_a_followed_assignment_does_not_change_its_outcome(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    first = door.envelope
    device.settle()
    door.assign(door.publish(2), "d-2")
    device.settle()
    door.envelope = first
    device.settle()
    assert device.journal.history(2)[0].reason is Reason.ASSIGNMENT_REPLAYED
    assert "d-1" in device.journal.history(2)[0].detail
    assert device.reports.ends() == [("d-1", "succeeded", None), ("d-2", "succeeded", None)]


def test_an_unreadable_assignment_is_journalled(door: Door, device: Device) -> None:
    door.envelope = b'{"payload": "e30=", "payloadType": "text/plain", "signatures": []}'
    device.settle()
    assert [row.reason for row in device.journal.history(9)][1] is Reason.ASSIGNMENT_MALFORMED
    assert device.reports.lines() == []


def test_a_quarantined_release_is_not_tried_again(door: Door, device: Device) -> None:
    bad = door.publish(1, "broken-ort", answers_of="cpu-ort")
    door.assign(bad, "d-1")
    device.settle()
    door.assign(bad, "d-2")
    device.settle()
    assert device.reports.ends() == [("d-1", "failed", "selftest-outputs"), ("d-2", "failed", "quarantined")]


def test_quarantined_content_is_not_tried_again_under_a_new_version(door: Door, device: Device) -> None:
    door.assign(door.publish(1, "broken-ort", answers_of="cpu-ort"), "d-1")
    device.settle()
    door.assign(door.publish(2, "broken-ort", answers_of="cpu-ort"), "d-2")
    device.settle()
    assert device.reports.ends()[-1] == ("d-2", "failed", "quarantined")


def test_an_artifact_that_only_arrived_damaged_is_taken_when_it_is_whole(door: Door, device: Device) -> None:
    release = door.publish(1)
    tampered_artifact(Attack(door, device, release, release))
    device.settle()
    door.faults.swap = None
    door.assign(release, "d-3")
    device.settle()
    assert device.running == 1


def test_a_device_without_the_engine_refuses(door: Door, identity: Identity, state_dir: Any) -> None:
    with open_device(identity, state_dir, engines=Census(frozenset({Engine.LITERT}))) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "engine-missing")]


def test_expired_metadata_stops_updates_and_not_the_model(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    door.assign(door.publish(2), "d-2")
    door.refresh(expires=datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1))
    device.settle()
    assert device.running == 1
    assert device.journal.history(2)[0].reason is Reason.METADATA_EXPIRED


def test_metadata_signed_by_somebody_else_is_refused(door: Door, device: Device) -> None:
    door.signers["timestamp"] = CryptoSigner.generate_ed25519()
    door.publish(1)
    device.settle()
    assert device.journal.history(2)[0].reason is Reason.METADATA_INVALID


def test_metadata_rolled_back_is_refused(door: Door, device: Device) -> None:
    before = dict(door.metadata)
    door.publish(1)
    device.settle()
    door.metadata = before
    device.settle()
    assert device.journal.history(2)[0].reason is Reason.METADATA_INVALID


def test_a_manifest_other_than_the_signed_one_is_refused(door: Door, device: Device) -> None:
    release = door.publish(1)
    door.assign(release, "d-1")
    name = next(name for name in door.files if name.endswith("manifest.json"))
    door.files[name] = door.files[name].replace(b"digits", b"digitz")
    device.settle()
    assert device.reports.ends() == [("d-1", "failed", "metadata-invalid")]


def test_a_rotated_director_is_followed_once_the_owner_signed_it(door: Door, device: Device) -> None:
    door.director = CryptoSigner.generate_ed25519()
    door.assign(door.publish(1), "d-1")
    device.settle()
    assert device.reports.ends() == [("d-1", "failed", "assignment-signature")]
    door.add_target(DIRECTOR_TARGET, director_key_bytes(door.director.public_key))
    door.refresh()
    device.settle()
    assert device.running == 1


def test_a_clock_set_back_makes_nothing_expired_valid(door: Door, identity: Identity, state_dir: Any) -> None:
    now = datetime.now(UTC)
    with open_device(identity, state_dir, clock=lambda: now) as device:
        device.settle()
    with open_device(identity, state_dir, clock=lambda: now - timedelta(days=365)) as device:
        door.assign(door.publish(1), "d-1", expires=now - timedelta(hours=2))
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "assignment-expired")]


def test_a_clock_far_ahead_stops_updates_and_does_not_stick(door: Door, identity: Identity, state_dir: Any) -> None:
    ahead = datetime.now(UTC) + timedelta(days=3650)
    with open_device(identity, state_dir, clock=lambda: ahead) as device:
        device.settle()
        assert device.journal.history(2)[0].reason is Reason.METADATA_EXPIRED
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
        assert device.running == 1
