"""The folder with the owner's signing keys: private keys as PEM (0600, encrypted if asked), public ones beside them.

It stays with the owner or in CI and is never sent to a server. It also holds the owner's copy of `root.json`, against
which everything that comes from a server is verified.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root, Targets

from edge_sdk.errors import BadInput
from edge_sdk.files import make_private_folder, write_private
from edge_sdk.trust import read_root, read_targets

Unlock = Callable[[], str]
"""Asks for the passphrase; called only when a key is encrypted."""


class Role(StrEnum):
    """The roles whose keys the owner holds."""

    ROOT = "root"
    TARGETS = "targets"


class Algorithm(StrEnum):
    """Kinds of signing key."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"
    RSA = "rsa"


_GENERATE: Final[dict[Algorithm, Callable[[], CryptoSigner]]] = {
    Algorithm.ED25519: CryptoSigner.generate_ed25519,
    Algorithm.ECDSA: CryptoSigner.generate_ecdsa,
    Algorithm.RSA: CryptoSigner.generate_rsa,
}

_ROOT_FILE: Final = "root.json"
_TARGETS_FILE: Final = "targets.json"


@dataclass(frozen=True)
class KeyFolder:
    """An existing folder of keys."""

    path: Path

    def public(self, role: Role) -> Key:
        """The public half of a role's key; needs no passphrase."""
        fields = json.loads(self._read(f"{role}.pub.json"))
        key: Key = Key.from_dict(fields.pop("keyid"), fields)
        return key

    def signer(self, role: Role, unlock: Unlock) -> CryptoSigner:
        """What signs for `role`.

        Raises:
            BadInput: the key file is missing or damaged, or the passphrase is wrong.
        """
        path = self.path / f"{role}.pem"
        data = self._read(path.name)
        encrypted = b"ENCRYPTED" in data.splitlines()[0]
        password = unlock().encode() if encrypted else None
        try:
            private = load_pem_private_key(data, password)
            return CryptoSigner(private, self.public(role))  # type: ignore[arg-type]  # a public key of our own making
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            wrong = "the passphrase is wrong" if encrypted else "the file is damaged"
            raise BadInput(
                f"{path} does not open: {wrong}", "Try again, or restore the key from its backup."
            ) from error

    @property
    def encrypted(self) -> bool:
        """Whether the private keys need a passphrase."""
        return b"ENCRYPTED" in self._read(f"{Role.TARGETS}.pem").splitlines()[0]

    def root_bytes(self) -> bytes | None:
        """The owner's copy of root metadata; None before the owner has trusted a server."""
        path = self.path / _ROOT_FILE
        return path.read_bytes() if path.exists() else None

    def root(self) -> Metadata[Root]:
        """The owner's root metadata, verified.

        Raises:
            BadInput: there is none yet.
            Untrusted: the file was changed.
        """
        data = self.root_bytes()
        if data is None:
            raise BadInput(
                f"{self.path} holds no {_ROOT_FILE}: no server has been trusted yet",
                f"Run `edge-sdk keys trust --keys {self.path}` once.",
            )
        return read_root(data)

    def targets(self) -> Metadata[Targets] | None:
        """The targets metadata this folder signed last, verified; None before the first."""
        data = self.targets_bytes()
        return read_targets(data, self.root()) if data is not None else None

    def targets_bytes(self) -> bytes | None:
        """The targets metadata signed last, as bytes; None before the first."""
        path = self.path / _TARGETS_FILE
        return path.read_bytes() if path.exists() else None

    def keep_root(self, data: bytes) -> None:
        """Make `data` the owner's copy of root metadata."""
        write_private(self.path / _ROOT_FILE, data)

    def keep_targets(self, data: bytes) -> None:
        """Remember the targets metadata signed last."""
        write_private(self.path / _TARGETS_FILE, data)

    def forget_metadata(self) -> None:
        """Be as before the first server was trusted."""
        for name in (_ROOT_FILE, _TARGETS_FILE):
            (self.path / name).unlink(missing_ok=True)

    def folder(self, name: str) -> Path:
        """A private folder in this one, for what belongs to the keys."""
        return make_private_folder(self.path / name)

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise BadInput(
                f"{self.path / name} is not readable: {error.strerror}",
                f"Name the folder with --keys, or make keys with `edge-sdk keys init --keys {self.path}`.",
            ) from error


def make_keys(path: Path, algorithm: Algorithm, passphrase: str | None) -> KeyFolder:
    """Fresh root and targets keys in the new folder `path`; private files are written for the owner alone.

    Raises:
        BadInput: `path` holds keys already (they are never overwritten), or cannot be written.
    """
    if any((path / f"{role}.pem").exists() for role in Role):
        raise BadInput(f"{path} holds keys already; they are not overwritten", "Choose another folder with --keys.")
    make_private_folder(path)
    for role in Role:
        _write_pair(path, role, _GENERATE[algorithm](), passphrase)
    return KeyFolder(path)


def open_keys(path: Path) -> KeyFolder:
    """The keys in folder `path`.

    Raises:
        BadInput: no keys there, or others than the owner may read them.
    """
    keys = KeyFolder(path)
    for role in Role:
        keys.public(role)
    _refuse_shared(path)
    return keys


def _write_pair(path: Path, role: Role, signer: CryptoSigner, passphrase: str | None) -> None:
    private = load_pem_private_key(signer.private_bytes, None)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
    write_private(path / f"{role}.pem", pem)
    key = signer.public_key
    write_private(path / f"{role}.pub.json", json.dumps({"keyid": key.keyid, **key.to_dict()}, indent=1).encode())


def _encryption(passphrase: str | None) -> KeySerializationEncryption:
    return BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()


def _refuse_shared(path: Path) -> None:
    for role in Role:
        file = path / f"{role}.pem"
        if file.exists() and os.name == "posix" and file.stat().st_mode & 0o077:
            raise BadInput(f"{file} may be read by others", f"Run `chmod 600 {file}` and think about who has seen it.")


def algorithm_named(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        BadInput: there is none.
    """
    try:
        return Algorithm(name)
    except ValueError:
        raise BadInput(f"there is no algorithm {name!r}", f"Known are: {', '.join(Algorithm)}.") from None


@dataclass(frozen=True)
class KeyDescription:
    """The public half of a key, for people."""

    role: Role
    keyid: str
    scheme: str


@dataclass(frozen=True)
class SignedDescription:
    """Which metadata is signed, and until when it holds."""

    version: int
    expires: datetime


@dataclass(frozen=True)
class KeysDescription:
    """What a folder of keys holds."""

    folder: Path
    encrypted: bool
    keys: tuple[KeyDescription, ...]
    root: SignedDescription | None
    targets: SignedDescription | None


def describe(folder: KeyFolder) -> KeysDescription:
    """What the folder holds; opens no private key.

    Raises:
        Untrusted: its metadata was changed.
    """
    publics = [(role, folder.public(role)) for role in Role]
    root = folder.root() if folder.root_bytes() is not None else None
    targets = folder.targets()
    return KeysDescription(
        folder=folder.path,
        encrypted=folder.encrypted,
        keys=tuple(KeyDescription(role, key.keyid, key.scheme) for role, key in publics),
        root=SignedDescription(root.signed.version, root.signed.expires) if root else None,
        targets=SignedDescription(targets.signed.version, targets.signed.expires) if targets else None,
    )
