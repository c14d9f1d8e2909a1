"""What the owner may change in the signed metadata, and what a release may add: checks on values, in numbered steps.

The server refuses early what devices would refuse later; it is never the one that is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edge_contracts.assignments import read_director_key
from edge_contracts.errors import Malformed
from edge_contracts.ids import Digest
from edge_contracts.manifest import FileRef
from edge_contracts.operations import OnlineKeys
from edge_contracts.targets import DIRECTOR_TARGET
from edge_fleet.errors import Conflict, Rejected

MAX_ROOT_BYTES: Final = 512_000
MAX_TARGETS_BYTES: Final = 5_000_000
"""What python-tuf's client reads at most."""

Role = TypeVar("Role", Root, Targets)
_REFETCH: Final = "Fetch the newest from /v1/metadata/targets.json, add to it, sign, and send again."


def read_root(data: bytes) -> Metadata[Root]:
    """Root metadata from outside. Raises Rejected: trust-malformed."""
    return _read(data, Root, MAX_ROOT_BYTES)


def read_targets(data: bytes) -> Metadata[Targets]:
    """Targets metadata from outside. Raises Rejected: trust-malformed."""
    return _read(data, Targets, MAX_TARGETS_BYTES)


def check_root(new: Metadata[Root], current: Metadata[Root] | None, online: OnlineKeys, now: datetime) -> None:
    """The owner's next root may replace the current one.

    Raises:
        Rejected: a step fails. Conflict: it is not the next version.
    """
    root = new.signed
    # 1. the next version, so that devices can walk from root to root
    if current is not None and root.version != current.signed.version + 1:
        message = f"Root version {root.version} does not follow {current.signed.version}"
        raise Conflict("root-version", message, "Sign the next version of the root that the server has.")
    # 2. signed by a threshold of its own root keys, and of the current ones
    _must_be_signed(root, Root.type, new)
    if current is not None:
        _must_be_signed(current.signed, Root.type, new)
    # 3. not expired
    _must_be_fresh(root, now)
    # 4. consistent snapshots: files carry their digest in their name, so that a publication never mixes with another
    if not root.consistent_snapshot:
        raise Rejected("trust-inconsistent", "The root has no consistent snapshots", "Set consistent_snapshot to true.")
    # 5. the online roles are this server's keys and no others
    for role, key in ((Snapshot.type, online.snapshot), (Timestamp.type, online.timestamp)):
        _must_be_held_by(root, role, key)


def check_targets(
    new: Metadata[Targets], root: Metadata[Root], current: Metadata[Targets] | None, now: datetime
) -> None:
    """The publisher's next targets metadata, apart from what it lists.

    Raises:
        Rejected: a step fails. Conflict: it is not the next version.
    """
    # 1. the next version
    if current is not None and new.signed.version != current.signed.version + 1:
        message = f"Targets version {new.signed.version} does not follow {current.signed.version}"
        raise Conflict("targets-version", message, _REFETCH)
    # 2. signed by a threshold of the root's targets keys
    check_targets_signature(new, root)
    # 3. not expired
    _must_be_fresh(new.signed, now)
    # 4. no delegations: this server does not serve their metadata
    if new.signed.delegations is not None:
        hint = "Sign releases with the targets key itself."
        raise Rejected("delegations-unsupported", "The targets metadata delegates to other roles", hint)


def check_targets_signature(targets: Metadata[Targets], root: Metadata[Root]) -> None:
    """Raises Rejected: trust-signature, unless a threshold of the root's targets keys has signed."""
    _must_be_signed(root.signed, Targets.type, targets)


def check_director(targets: Metadata[Targets], director_key: bytes, online: OnlineKeys) -> None:
    """The owner names this server's director.

    Raises:
        Rejected: the target is missing, differs, or is another key.
    """
    listed = targets.signed.targets.get(DIRECTOR_TARGET)
    if listed is None or not _is(listed, _file_of(director_key)):
        message = f"The targets do not list {DIRECTOR_TARGET} with the bytes that were sent"
        raise Rejected("director-target", message, "Add the key from /v1/trust/keys as that target and sign again.")
    try:
        key = read_director_key(director_key)
    except Malformed as error:
        raise Rejected("director-target", str(error), "Send the key as /v1/trust/keys shows it.") from error
    if {"keyid": key.keyid, **key.to_dict()} != online.director:
        message = f"The director key {key.keyid} is not this server's"
        raise Rejected("director-target", message, "Use the director key that /v1/trust/keys shows.")


def check_same_releases(new: Metadata[Targets], current: Metadata[Targets] | None) -> None:
    """A change of trust publishes nothing and takes nothing back.

    Raises:
        Rejected: another target than the director's key was added, changed or removed.
    """
    before = {} if current is None else _releases(current)
    if _releases(new) != before:
        message = "A change of trust must leave the published releases as they are"
        raise Rejected("targets-changed", message, _REFETCH)


def check_added(new: Metadata[Targets], current: Metadata[Targets], added: Mapping[str, FileRef]) -> None:
    """`new` lists everything that `current` lists, unchanged, and exactly `added` besides.

    Raises:
        Rejected: a published target was altered or dropped, or others were added than the release has.
    """
    # 1. what is published stays
    for path, target in current.signed.targets.items():
        if new.signed.targets.get(path) != target:
            message = f"The published target {path} was altered or dropped"
            raise Rejected("release-immutable", message, "Releases never change: publish a new version.")
    # 2. nothing but this release comes
    names = new.signed.targets.keys() - current.signed.targets.keys()
    if names != added.keys():
        different = ", ".join(sorted(names ^ added.keys())[:4])
        raise Rejected("targets-not-the-release", f"The new targets are not this release's: {different}", _REFETCH)
    # 3. and comes as it was sent
    for path, file in added.items():
        if not _is(new.signed.targets[path], file):
            message = f"{path} was signed with another length or digest than it has"
            raise Rejected("target-digest", message, "Build the bundle again, then publish it.")


def _releases(metadata: Metadata[Targets]) -> dict[str, TargetFile]:
    return {path: target for path, target in metadata.signed.targets.items() if path != DIRECTOR_TARGET}


def _read(data: bytes, kind: type[Role], limit: int) -> Metadata[Role]:
    if len(data) > limit:
        raise Rejected("trust-malformed", f"{kind.type}: {len(data)} bytes, at most {limit}", "Devices read no more.")
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except (DeserializationError, RecursionError) as error:
        raise Rejected(
            "trust-malformed", f"This is not {kind.type} metadata", "Make it with `edge-sdk keys`."
        ) from error
    if not isinstance(metadata.signed, kind):
        message = f"This is {metadata.signed.type} metadata instead of {kind.type}"
        raise Rejected("trust-malformed", message, "Make it with `edge-sdk keys`.")
    return metadata


def _must_be_signed(by: Root, role: str, metadata: Metadata[Any]) -> None:
    try:
        by.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (UnsignedMetadataError, RepositoryError, ValueError) as error:
        message = f"{role} is not signed as root version {by.version} asks: {error}"
        raise Rejected("trust-signature", message, "Collect the missing signatures, then send it again.") from error


def _must_be_fresh(signed: Root | Targets, now: datetime) -> None:
    if signed.is_expired(now):
        message = f"The {signed.type} metadata expired at {signed.expires:%Y-%m-%d %H:%M} UTC"
        raise Rejected("trust-expired", message, "Sign it with a later expiry.")


def _must_be_held_by(root: Root, role: str, key: dict[str, Any]) -> None:
    named = root.roles[role]
    keyid = key["keyid"]
    listed = root.keys.get(keyid)
    if list(named.keyids) != [keyid] or named.threshold != 1 or listed is None:
        message = f"The root does not name this server's {role} key {keyid}, or names others too"
        raise Rejected(
            "trust-online-keys", message, "Take the keys from /v1/trust/keys into the root and sign it again."
        )
    if {"keyid": keyid, **listed.to_dict()} != key:
        message = f"The root's key {keyid} is not this server's {role} key"
        raise Rejected(
            "trust-online-keys", message, "Take the keys from /v1/trust/keys into the root and sign it again."
        )


def _is(target: TargetFile, file: FileRef) -> bool:
    return target.length == file.length and target.hashes == {"sha256": file.digest.hex}


def _file_of(data: bytes) -> FileRef:
    return FileRef(digest=Digest.of(data), length=len(data))
