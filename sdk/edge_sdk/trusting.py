"""Trusting a server: the owner's root and targets are signed for its online keys and handed over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from edge_contracts.assignments import director_key_bytes
from edge_contracts.ids import Digest
from edge_contracts.operations import OnlineKeys, Trust
from edge_contracts.targets import DIRECTOR_TARGET
from edge_sdk.client import FleetClient
from edge_sdk.errors import BadInput, Rejected
from edge_sdk.keys import KeyFolder, Role, Unlock
from edge_sdk.publishing import current_targets
from edge_sdk.trust import director_target, listed, make_root, make_targets, next_targets, read_online_key, sign


@dataclass(frozen=True)
class Trusted:
    """What the owner has signed. `changed` is false when the server was trusted with these very keys before."""

    root_version: int
    targets_version: int
    director: str
    changed: bool


def trust_server(keys: KeyFolder, client: FleetClient, unlock: Unlock) -> Trusted:
    """Sign root and targets for the server's present online keys and hand them over.

    The first time makes version 1 of both; later, when the server's keys were replaced, the next version.

    Raises:
        BadInput: these keys trust another server, the server trusts other keys, or they do not open.
        Untrusted: the server's metadata does not verify against these keys.
        Rejected, Unreachable: from the server.
    """
    online = client.online_keys()
    director = read_online_key(online.director)
    now = datetime.now(UTC)
    if keys.root_bytes() is None:
        _refuse_owned(keys, client)
        root = make_root(keys.public(Role.ROOT), keys.public(Role.TARGETS), online, now)
        return _hand_over(keys, client, unlock, root, make_targets(now, [director_target(director)]), director)
    return _renew(keys, client, unlock, online, now)


def _refuse_owned(keys: KeyFolder, client: FleetClient) -> None:
    if client.metadata("1.root.json") is not None:
        raise BadInput(
            f"the server at {client.connection.server} trusts other keys than those in {keys.path}",
            "Use the folder of its owner's keys, with the root.json in it: --keys DIR.",
        )


def _renew(keys: KeyFolder, client: FleetClient, unlock: Unlock, online: OnlineKeys, now: datetime) -> Trusted:
    root, director = keys.root(), read_online_key(online.director)
    if client.metadata("1.root.json") is None:
        return _first_again(keys, client, root, online, director)
    targets = current_targets(keys, client)
    same_director = listed(targets, DIRECTOR_TARGET) == Digest.of(director_key_bytes(director))
    if _names(root, online) and same_director:
        return Trusted(root.signed.version, targets.signed.version, director.keyid, changed=False)
    owner, publisher = keys.public(Role.ROOT), keys.public(Role.TARGETS)
    successor = make_root(owner, publisher, online, now, root.signed.version + 1)
    renewed = next_targets(targets, [director_target(director)], now)
    return _hand_over(keys, client, unlock, successor, renewed, director)


def _first_again(
    keys: KeyFolder, client: FleetClient, root: Metadata[Root], online: OnlineKeys, director: Key
) -> Trusted:
    """Repeat a first hand-over that was interrupted between signing and the server's answer."""
    root_bytes, targets, targets_bytes = keys.root_bytes(), keys.targets(), keys.targets_bytes()
    if root_bytes is None or targets is None or targets_bytes is None or not _names(root, online):
        raise BadInput(
            f"the keys in {keys.path} trust another server than {client.connection.server}",
            "Make keys for this server in a folder of their own: `edge-sdk keys init --keys DIR`.",
        )
    client.put_trust(_trust(root_bytes, targets_bytes, director))
    return Trusted(root.signed.version, targets.signed.version, director.keyid, changed=True)


def _hand_over(
    keys: KeyFolder,
    client: FleetClient,
    unlock: Unlock,
    root: Metadata[Root],
    targets: Metadata[Targets],
    director: Key,
) -> Trusted:
    root_bytes = sign(root, keys.signer(Role.ROOT, unlock))
    targets_bytes = sign(targets, keys.signer(Role.TARGETS, unlock))
    if root.signed.version == 1:  # kept first: an interrupted hand-over is repeated with the same bytes
        keys.keep_root(root_bytes)
        keys.keep_targets(targets_bytes)
    try:
        client.put_trust(_trust(root_bytes, targets_bytes, director))
    except Rejected:
        if root.signed.version == 1:  # a root that no server has would only mislead devices that get it
            keys.forget_metadata()
        raise
    keys.keep_root(root_bytes)
    keys.keep_targets(targets_bytes)
    return Trusted(root.signed.version, targets.signed.version, director.keyid, changed=True)


def _trust(root: bytes, targets: bytes, director: Key) -> Trust:
    return Trust(root=root.decode(), targets=targets.decode(), director_key=director_key_bytes(director).decode())


def _names(root: Metadata[Root], online: OnlineKeys) -> bool:
    """Whether `root` gives snapshot and timestamp to the server's present keys."""
    wanted = {Snapshot.type: online.snapshot, Timestamp.type: online.timestamp}
    return all(root.signed.roles[role].keyids == [read_online_key(key).keyid] for role, key in wanted.items())
