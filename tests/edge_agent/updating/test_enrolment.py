"""A ticket becomes an identity, whatever interrupts it; a bad ticket or server leaves one clear sentence."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.adapters.enrolment import EnrolmentFailed, enrol
from edge_agent.adapters.identity import (
    CERTIFICATE_FILE,
    FOLDER,
    HPKE_FILE,
    KEY_FILE,
    RECORD_FILE,
    IdentityBroken,
    load_identity,
)
from tests.edge_agent.updating.device import PROFILE, enrolled
from tests.edge_agent.updating.door import DEVICE, TENANT, Door, open_door


def test_a_ticket_becomes_an_identity(door: Door, state_dir: Path) -> None:
    identity = enrolled(door, state_dir)
    assert (identity.tenant, identity.device, identity.profile) == (TENANT, DEVICE, PROFILE)
    assert (identity.mqtt_host, identity.mqtt_port) == ("127.0.0.1", 8883)
    assert identity.root == door.root_bytes
    again = load_identity(state_dir)
    assert again is not None
    assert again.record == identity.record
    assert again.hpke.private_bytes_raw() == identity.hpke.private_bytes_raw()
    assert again.tls.get_ca_certs()


def test_keys_are_readable_by_the_owner_alone(door: Door, state_dir: Path) -> None:
    enrolled(door, state_dir)
    folder = state_dir / FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in (KEY_FILE, HPKE_FILE):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_an_enrolled_device_keeps_its_identity(door: Door, state_dir: Path) -> None:
    identity = enrolled(door, state_dir)
    door.close()
    assert enrol(state_dir / "no such ticket", state_dir, profile=PROFILE).record == identity.record


def test_a_lost_answer_costs_the_device_nothing(door: Door, state_dir: Path) -> None:
    door.faults.lost_answers = 1
    with pytest.raises(EnrolmentFailed, match="did not answer"):
        enrolled(door, state_dir)
    assert load_identity(state_dir) is None
    assert enrolled(door, state_dir).device == DEVICE


@pytest.mark.parametrize("kept", range(1, 6))
def test_an_interrupted_enrolment_is_completed(door: Door, state_dir: Path, kept: int) -> None:
    """Only the first files of an enrolment are there, as after a power cut."""
    enrolled(door, state_dir)
    folder = state_dir / FOLDER
    for name in (KEY_FILE, HPKE_FILE, CERTIFICATE_FILE, "ca.crt", "root.json", RECORD_FILE)[kept:]:
        (folder / name).unlink()
    if kept == 1:
        (folder / HPKE_FILE).write_bytes(b"")
        with pytest.raises(EnrolmentFailed, match="does not hold the device's key"):
            enrolled(door, state_dir)
        (folder / HPKE_FILE).unlink()
    assert load_identity(state_dir) is None
    assert enrolled(door, state_dir).device == DEVICE


def test_a_used_ticket_does_not_serve_another_device(door: Door, state_dir: Path, tmp_path: Path) -> None:
    enrolled(door, state_dir)
    with pytest.raises(EnrolmentFailed, match="used up") as refused:
        enrol(door.ticket(tmp_path), tmp_path / "another", profile=PROFILE)
    assert "new ticket" in refused.value.hint


def test_an_expired_ticket_is_not_sent(door: Door, state_dir: Path) -> None:
    ticket = door.ticket(state_dir, expires=datetime.now(UTC) - timedelta(minutes=1))
    with pytest.raises(EnrolmentFailed, match="expired at"):
        enrol(ticket, state_dir, profile=PROFILE)
    assert not (state_dir / FOLDER).exists()


def test_a_server_of_another_authority_gets_no_token(door: Door, state_dir: Path, tmp_path: Path) -> None:
    with open_door(tmp_path) as impostor:
        ticket = door.ticket(state_dir, server=impostor.url)
        with pytest.raises(EnrolmentFailed, match="CERTIFICATE_VERIFY_FAILED"):
            enrol(ticket, state_dir, profile=PROFILE)
        assert not impostor.certificates


def test_a_certificate_of_another_authority_is_not_kept(door: Door, state_dir: Path, tmp_path: Path) -> None:
    with open_door(tmp_path) as other:
        door._ca_key, trusted = other._ca_key, door.ca
        ticket = door.ticket(state_dir)
        door.ca = other.ca
        with pytest.raises(EnrolmentFailed, match="authority"):
            enrol(ticket, state_dir, profile=PROFILE)
        assert trusted is not other.ca
    assert load_identity(state_dir) is None


def test_an_identity_of_another_tenant_is_not_kept(door: Door, state_dir: Path) -> None:
    with pytest.raises(EnrolmentFailed, match="tenant"):
        enrol(door.ticket(state_dir, tenant="umbrella"), state_dir, profile=PROFILE)
    assert load_identity(state_dir) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"server": 1}'])
def test_a_broken_ticket_is_explained(state_dir: Path, content: bytes) -> None:
    ticket = state_dir / "ticket.json"
    ticket.write_bytes(content)
    with pytest.raises(EnrolmentFailed, match="is not an enrolment ticket") as refused:
        enrol(ticket, state_dir, profile=PROFILE)
    assert "edge-sdk devices token" in refused.value.hint


def test_a_missing_ticket_is_explained(state_dir: Path) -> None:
    with pytest.raises(EnrolmentFailed, match="cannot be read"):
        enrol(state_dir / "ticket.json", state_dir, profile=PROFILE)


def test_an_unreachable_server_is_explained(door: Door, state_dir: Path) -> None:
    ticket = door.ticket(state_dir)
    door.close()
    with pytest.raises(EnrolmentFailed, match="did not answer"):
        enrol(ticket, state_dir, profile=PROFILE)


def test_a_damaged_identity_is_named(door: Door, state_dir: Path) -> None:
    enrolled(door, state_dir)
    (state_dir / FOLDER / RECORD_FILE).write_text("{")
    with pytest.raises(IdentityBroken, match="is not readable"):
        load_identity(state_dir)
