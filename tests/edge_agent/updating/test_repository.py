"""The signed repository over a real connection: kept small on disk, walked along its chain of roots."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from edge_agent.adapters.device_http import device_client
from edge_agent.adapters.identity import Identity
from edge_agent.adapters.repository import MAX_KEPT_TARGETS, TufRepository
from edge_agent.ports import Unreachable
from edge_contracts.assignments import MAX_ENVELOPE_BYTES
from edge_contracts.errors import Refused
from edge_contracts.ids import Digest
from edge_contracts.manifest import MAX_MANIFEST_BYTES
from edge_contracts.reasons import Reason
from tests.edge_agent.updating.door import Door


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "metadata"


@pytest.fixture
def repository(identity: Identity, folder: Path) -> Iterator[TufRepository]:
    with device_client(identity) as client:
        yield TufRepository(client, folder, identity.root)


def now() -> datetime:
    return datetime.now(UTC)


def test_a_signed_target_is_read(door: Door, repository: TufRepository) -> None:
    door.add_target("a/b.json", b"content")
    door.refresh()
    repository.refresh(now())
    signed = repository.target("a/b.json")
    assert signed is not None
    assert (signed.digest, signed.length) == (Digest.of(b"content"), 7)
    assert repository.read_target("a/b.json") == b"content"
    assert repository.target("a/other.json") is None


def test_old_targets_leave_the_disk(door: Door, repository: TufRepository, folder: Path) -> None:
    names = [f"model/{number}/manifest.json" for number in range(3 * MAX_KEPT_TARGETS)]
    for name in names:
        door.add_target(name, name.encode())
    door.refresh()
    repository.refresh(now())
    assert [repository.read_target(name).decode() for name in names] == names
    assert len(list((folder / "targets").iterdir())) == MAX_KEPT_TARGETS


def test_a_target_read_before_is_not_fetched_again(door: Door, repository: TufRepository) -> None:
    for _ in range(2):
        repository.refresh(now())
        repository.read_target("director/key.json")
    assert sum("director/" in path for path, _ in door.requests) == 1


def test_a_target_that_is_too_large_is_not_fetched(door: Door, repository: TufRepository) -> None:
    door.add_target("a/huge.json", b"x" * (MAX_MANIFEST_BYTES + 1))
    door.refresh()
    repository.refresh(now())
    with pytest.raises(Refused, match="at most"):
        repository.read_target("a/huge.json")
    assert not any("huge" in path for path, _ in door.requests)


def test_an_unsigned_target_is_refused(repository: TufRepository) -> None:
    repository.refresh(now())
    with pytest.raises(Refused) as refused:
        repository.read_target("a/other.json")
    assert refused.value.reason is Reason.METADATA_INVALID


def test_a_missing_file_may_come_later(door: Door, repository: TufRepository) -> None:
    repository.refresh(now())
    door.files.clear()
    with pytest.raises(Unreachable):
        repository.read_target("director/key.json")


def test_the_chain_of_roots_is_followed(door: Door, repository: TufRepository) -> None:
    """The owner replaces every online key by a second root, signed by the old key and the new."""
    old = door.signers["root"]
    door.signers = {role: CryptoSigner.generate_ed25519() for role in door.signers}
    second = Metadata(Root(version=2, expires=now().replace(microsecond=0) + timedelta(days=1)))
    for role, signer in door.signers.items():
        second.signed.add_key(signer.public_key, role)
    second.sign(old)
    second.sign(door.signers["root"], append=True)
    door.refresh()
    door.metadata["2.root.json"] = second.to_bytes()
    repository.refresh(now())
    assert repository.target("director/key.json") is not None


def test_a_root_that_the_old_one_did_not_sign_is_refused(door: Door, repository: TufRepository) -> None:
    stranger = CryptoSigner.generate_ed25519()
    second = Metadata(Root(version=2, expires=now().replace(microsecond=0) + timedelta(days=1)))
    for role in door.signers:
        second.signed.add_key(stranger.public_key, role)
    second.sign(stranger)
    door.metadata["2.root.json"] = second.to_bytes()
    with pytest.raises(Refused) as refused:
        repository.refresh(now())
    assert refused.value.reason is Reason.METADATA_INVALID


def test_metadata_without_an_end_is_refused(door: Door, repository: TufRepository) -> None:
    door.metadata["timestamp.json"] = b" " * 100_000
    with pytest.raises(Refused) as refused:
        repository.refresh(now())
    assert refused.value.reason is Reason.METADATA_INVALID


def test_time_is_what_the_caller_says(repository: TufRepository) -> None:
    with pytest.raises(Refused) as refused:
        repository.refresh(now() + timedelta(days=2))
    assert refused.value.reason is Reason.METADATA_EXPIRED


def test_an_assignment_without_an_end_is_refused(door: Door, repository: TufRepository) -> None:
    door.envelope = b"{" * (MAX_ENVELOPE_BYTES + 1)
    with pytest.raises(Refused) as refused:
        repository.assignment()
    assert refused.value.reason is Reason.ASSIGNMENT_MALFORMED


def test_a_closed_door_is_unreachable(door: Door, repository: TufRepository) -> None:
    door.close()
    with pytest.raises(Unreachable):
        repository.refresh(now())
    with pytest.raises(Unreachable):
        repository.assignment()
    with pytest.raises(Unreachable):
        repository.target("director/key.json")


def test_a_look_comes_to_its_end_though_every_third_request_is_lost(
    door: Door, identity: Identity, folder: Path
) -> None:
    tries = itertools.count()

    def lose(request: httpx.Request) -> None:
        if next(tries) % 3 == 0:
            raise httpx.ConnectError("lost", request=request)

    door.add_target("a/b.json", b"content")
    door.refresh()
    with device_client(identity, lose) as client:
        repository = TufRepository(client, folder, identity.root)
        repository.refresh(now())
        assert repository.read_target("a/b.json") == b"content"


def test_a_dead_network_is_not_tried_for_long(identity: Identity, folder: Path) -> None:
    def lose(request: httpx.Request) -> None:
        raise httpx.ConnectError("lost", request=request)

    begun = time.monotonic()
    with device_client(identity, lose) as client, pytest.raises(Unreachable, match="lost"):
        TufRepository(client, folder, identity.root).refresh(now())
    assert time.monotonic() - begun < 5
