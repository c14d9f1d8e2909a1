"""The server's signing keys for snapshot, timestamp and assignments: Ed25519 in PEM files, mode 0600."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key

from edge_contracts.operations import OnlineKeys
from edge_fleet.adapters.files import PRIVATE, write_whole
from edge_fleet.errors import CannotStart

ROLES: Final = ("snapshot", "timestamp", "director")


@dataclass(frozen=True)
class OnlineSigners:
    """One signer for each online role."""

    snapshot: CryptoSigner
    timestamp: CryptoSigner
    director: CryptoSigner

    def public(self) -> OnlineKeys:
        """The public halves, for the owner to put into root and targets."""
        return OnlineKeys(**{role: key_dictionary(getattr(self, role).public_key) for role in ROLES})


def key_dictionary(key: Key) -> dict[str, object]:
    """A public key as securesystemslib writes it, with its `keyid`."""
    return {"keyid": key.keyid, **key.to_dict()}


def make_online_keys(folder: Path) -> None:
    """Fresh keys, one file for each role; a key that is there is kept."""
    for role in ROLES:
        path = _path(folder, role)
        if not path.exists():
            write_whole(path, CryptoSigner.generate_ed25519().private_bytes, PRIVATE)


def load_online_keys(folder: Path) -> OnlineSigners:
    """The signers.

    Raises:
        CannotStart: a file is missing or damaged.
    """
    return OnlineSigners(**{role: _load(_path(folder, role)) for role in ROLES})


def _path(folder: Path, role: str) -> Path:
    return folder / f"{role}.pem"


def _load(path: Path) -> CryptoSigner:
    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
    except (OSError, ValueError, TypeError) as error:
        raise CannotStart(
            "key-unreadable", f"{path} is not a usable private key", "Restore it from a backup."
        ) from error
