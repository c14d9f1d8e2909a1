"""Keeps artifact keys under the server's key-encryption key: AES-256-GCM, the artifact's digest as associated data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge_contracts.ids import Digest
from edge_fleet.adapters.files import PRIVATE, write_whole
from edge_fleet.errors import CannotStart, FleetError

_NONCE_BYTES: Final = 12
_KEK_BYTES: Final = 32


class FileVault:
    """A key vault whose key-encryption key lies in a file of mode 0600."""

    def __init__(self, kek: bytes) -> None:
        self._cipher = AESGCM(kek)

    def seal(self, key: bytes, artifact: Digest) -> bytes:
        """The key as it may be stored: nonce || ciphertext || tag. It opens for this artifact only."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, artifact.encode())

    def open(self, sealed: bytes, artifact: Digest) -> bytes:
        """The key.

        Raises:
            FleetError: sealed under another key-encryption key, for another artifact, or changed.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], artifact.encode())
        except (InvalidTag, ValueError) as error:
            hint = "Restore keys/kek.bin and the database from the same backup."
            raise FleetError("artifact-key-unreadable", f"The stored key of {artifact} does not open", hint) from error


def make_kek(folder: Path) -> None:
    """A fresh key-encryption key; one that is there is kept."""
    if not (folder / "kek.bin").exists():
        write_whole(folder / "kek.bin", os.urandom(_KEK_BYTES), PRIVATE)


def load_vault(folder: Path) -> FileVault:
    """The vault of a keys folder.

    Raises:
        CannotStart: the key-encryption key is missing or damaged.
    """
    path = folder / "kek.bin"
    kek = path.read_bytes() if path.exists() else b""
    if len(kek) != _KEK_BYTES:
        raise CannotStart("key-unreadable", f"{path} is not a key-encryption key", "Restore it from a backup.")
    return FileVault(kek)
