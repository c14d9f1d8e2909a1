"""The owner's side of the signed metadata (The Update Framework), on values alone: no disk, no network, no clock.

The owner signs two roles: root, which names the keys of all roles, and targets, which lists what devices may install.
Snapshot and timestamp belong to the server, whose public keys root names.
TUF specification 1.0: https://theupdateframework.github.io/specification/latest/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from edge_contracts.assignments import director_key_bytes
from edge_contracts.ids import Digest, VariantName
from edge_contracts.manifest import FileRef, Manifest
from edge_contracts.operations import OnlineKeys
from edge_contracts.targets import DIRECTOR_TARGET, artifact_target, manifest_target
from edge_sdk.errors import BadInput, Untrusted

ROOT_VALIDITY: Final = timedelta(days=730)
TARGETS_VALIDITY: Final = timedelta(days=365)
_SERIALIZER: Final = JSONSerializer(compact=False)


def read_online_key(fields: Mapping[str, object]) -> Key:
    """A public key from its securesystemslib dictionary with `keyid`.

    Raises:
        BadInput: not a key of a known kind.
    """
    rest: dict[str, Any] = dict(fields)
    try:
        key: Key = Key.from_dict(str(rest.pop("keyid")), rest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            "the server's online keys are not readable", "Compare the versions of server and SDK."
        ) from error
    return key


def make_root(owner: Key, publisher: Key, online: OnlineKeys, now: datetime, version: int = 1) -> Metadata[Root]:
    """An unsigned root that gives each role its key; consistent snapshots on."""
    root = Root(version=version, expires=_whole(now + ROOT_VALIDITY), consistent_snapshot=True)
    root.add_key(owner, Root.type)
    root.add_key(publisher, Targets.type)
    root.add_key(read_online_key(online.snapshot), Snapshot.type)
    root.add_key(read_online_key(online.timestamp), Timestamp.type)
    return Metadata(root)


def make_targets(now: datetime, entries: Iterable[TargetFile]) -> Metadata[Targets]:
    """Unsigned targets, version 1, that list `entries`."""
    expires = _whole(now + TARGETS_VALIDITY)
    return Metadata(Targets(version=1, expires=expires, targets={file.path: file for file in entries}))


def next_targets(current: Metadata[Targets], added: Iterable[TargetFile], now: datetime) -> Metadata[Targets]:
    """Unsigned targets one version on: everything listed before, and `added`."""
    fields = {file.path: file for file in added}
    return Metadata(
        Targets(
            version=current.signed.version + 1,
            expires=_whole(now + TARGETS_VALIDITY),
            targets={**current.signed.targets, **fields},
            delegations=current.signed.delegations,
        )
    )


def director_target(director: Key) -> TargetFile:
    """The entry that makes `director` the one who may assign releases to devices."""
    return TargetFile.from_data(DIRECTOR_TARGET, director_key_bytes(director), ["sha256"])


def release_targets(
    manifest: Manifest, manifest_bytes: bytes, artifacts: Mapping[VariantName, FileRef]
) -> list[TargetFile]:
    """The entries of a release: its manifest and the ciphertext of each variant."""
    path = manifest_target(manifest.model, manifest.version)
    entries = [TargetFile.from_data(path, manifest_bytes, ["sha256"])]
    for variant, file in artifacts.items():
        path = artifact_target(manifest.model, manifest.version, variant)
        entries.append(TargetFile(file.length, {"sha256": file.digest.hex}, path))
    return entries


def listed(targets: Metadata[Targets], path: str) -> Digest | None:
    """The digest signed for `path`, if it is listed."""
    entry = targets.signed.targets.get(path)
    return None if entry is None else Digest(f"sha256:{entry.hashes['sha256']}")


def sign(metadata: Metadata[Any], *signers: Signer) -> bytes:
    """The metadata with the signatures of `signers`, as bytes."""
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return bytes(metadata.to_bytes(_SERIALIZER))


def read_root(data: bytes) -> Metadata[Root]:
    """Root metadata that carries its own threshold of signatures.

    Raises:
        Untrusted: not root metadata, or not signed by the keys it names.
    """
    root: Metadata[Root] = _read(data, Root)
    _verify(root.signed, Root.type, root)
    return root


def read_targets(data: bytes, root: Metadata[Root]) -> Metadata[Targets]:
    """Targets metadata signed by the publisher whom `root` names.

    Raises:
        Untrusted: not targets metadata, or signed by somebody else.
    """
    targets: Metadata[Targets] = _read(data, Targets)
    _verify(root.signed, Targets.type, targets)
    return targets


def _read(data: bytes, kind: type[Root] | type[Targets]) -> Metadata[Any]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as error:
        raise Untrusted(f"this is not {kind.type} metadata: {error}", _COMPARE) from error
    if not isinstance(metadata.signed, kind):
        raise Untrusted(f"this is {metadata.signed.type} metadata, {kind.type} was expected", _COMPARE)
    return metadata


def _verify(root: Root, role: str, metadata: Metadata[Any]) -> None:
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise Untrusted(f"the {role} metadata is not signed by the owner's keys: {error}", _COMPARE) from error


def _whole(moment: datetime) -> datetime:
    """TUF's times have whole seconds."""
    return moment.replace(microsecond=0)


_COMPARE: Final = "Compare `edge-sdk keys show` with the people who hold the keys; publish nothing until they agree."
