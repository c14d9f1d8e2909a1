"""The owner's signed metadata: what python-tuf's own checks say of it, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets

from edge_contracts.ids import Digest, VariantName
from edge_contracts.manifest import FileRef
from edge_contracts.operations import OnlineKeys
from edge_contracts.targets import DIRECTOR_TARGET, artifact_target, manifest_target
from edge_sdk.errors import BadInput, Untrusted
from edge_sdk.trust import (
    director_target,
    listed,
    make_root,
    make_targets,
    next_targets,
    read_root,
    read_targets,
    release_targets,
    sign,
)
from tests.support.releases import manifest, variant

NOW = datetime(2026, 11, 1, 12, 30, 15, 999, tzinfo=UTC)


def key_fields(signer: CryptoSigner) -> dict[str, object]:
    return {"keyid": signer.public_key.keyid, **signer.public_key.to_dict()}


class Owner:
    def __init__(self) -> None:
        self.root = CryptoSigner.generate_ed25519()
        self.targets = CryptoSigner.generate_ed25519()
        self.online = {role: CryptoSigner.generate_ed25519() for role in ("snapshot", "timestamp", "director")}
        self.keys = OnlineKeys(**{role: key_fields(signer) for role, signer in self.online.items()})

    def root_bytes(self) -> bytes:
        return sign(make_root(self.root.public_key, self.targets.public_key, self.keys, NOW), self.root)

    def targets_bytes(self) -> bytes:
        return sign(make_targets(NOW, [director_target(self.online["director"].public_key)]), self.targets)


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_root_names_one_key_for_each_role(owner: Owner) -> None:
    root = read_root(owner.root_bytes()).signed

    wanted = {"root": owner.root, "targets": owner.targets, **owner.online}
    del wanted["director"]
    assert {role: root.roles[role].keyids for role in root.roles} == {
        role: [signer.public_key.keyid] for role, signer in wanted.items()
    }
    assert root.consistent_snapshot
    assert root.expires > NOW + timedelta(days=365)


def test_a_release_is_added_and_nothing_listed_before_is_lost(owner: Owner) -> None:
    root = read_root(owner.root_bytes())
    first = read_targets(owner.targets_bytes(), root)
    one, payload = variant("cpu-ort")
    what = manifest(one, version=3)
    file = FileRef(digest=Digest.of(payload.model), length=len(payload.model))

    entries = release_targets(what, b"manifest bytes", {VariantName("v"): file})
    second = read_targets(sign(next_targets(first, entries, NOW), owner.targets), root)

    assert second.signed.version == 2
    assert listed(second, DIRECTOR_TARGET) == listed(first, DIRECTOR_TARGET)
    assert listed(second, manifest_target(what.model, 3)) == Digest.of(b"manifest bytes")
    assert listed(second, artifact_target(what.model, 3, VariantName("v"))) == file.digest


def test_a_changed_root_is_not_trusted(owner: Owner) -> None:
    fields = json.loads(owner.root_bytes())
    fields["signed"]["expires"] = "2099-01-01T00:00:00Z"

    with pytest.raises(Untrusted, match="not signed by the owner's keys"):
        read_root(json.dumps(fields).encode())


def test_targets_signed_by_a_stranger_are_not_trusted(owner: Owner) -> None:
    root = read_root(owner.root_bytes())
    forged = sign(make_targets(NOW, []), CryptoSigner.generate_ed25519())

    with pytest.raises(Untrusted, match="targets metadata is not signed"):
        read_targets(forged, root)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"signed": {"_type": "root"}, "signatures": []}', b"\xff"])
def test_what_is_not_metadata_is_refused_in_a_sentence(data: bytes, owner: Owner) -> None:
    with pytest.raises(Untrusted, match="metadata"):
        read_root(data)


def test_metadata_of_another_role_is_refused(owner: Owner) -> None:
    with pytest.raises(Untrusted, match="this is targets metadata, root was expected"):
        read_root(owner.targets_bytes())


def test_tuf_itself_accepts_what_the_owner_signs_and_no_online_key_can(owner: Owner) -> None:
    root: Metadata[Root] = Metadata.from_bytes(owner.root_bytes())
    targets: Metadata[Targets] = Metadata.from_bytes(owner.targets_bytes())

    root.signed.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
    for online in owner.online.values():
        forged: Metadata[Targets] = Metadata.from_bytes(sign(make_targets(NOW, []), online))
        with pytest.raises(UnsignedMetadataError):
            root.signed.verify_delegate(Targets.type, forged.signed_bytes, forged.signatures)


def test_unreadable_online_keys_are_refused(owner: Owner) -> None:
    broken = owner.keys.model_copy(update={"snapshot": {"keyid": "1", "keytype": "?"}})

    with pytest.raises(BadInput, match="online keys are not readable"):
        make_root(owner.root.public_key, owner.targets.public_key, broken, NOW)
