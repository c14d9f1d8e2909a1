"""Wrapping an artifact's key to one device: HPKE base mode (RFC 9180), X25519, HKDF-SHA256, AES-256-GCM.

The context string binds a wrapped key to its device and artifact, so that one cannot be moved to another.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from edge_contracts.errors import Refused
from edge_contracts.ids import DeviceId, Digest
from edge_contracts.reasons import Reason
from edge_contracts.segments import KEY_BYTES

_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def wrap_key(key: bytes, public: X25519PublicKey, device: DeviceId, artifact: Digest) -> bytes:
    """`key` (32 bytes) sealed to a device; `artifact` is the digest of the ciphertext it opens."""
    return _SUITE.encrypt(key, public, _context(device, artifact))


def unwrap_key(wrapped: bytes, private: X25519PrivateKey, device: DeviceId, artifact: Digest) -> bytes:
    """The 32-byte key.

    Raises:
        Refused: artifact-key, when it was wrapped to another device, for another artifact, or was changed.
    """
    try:
        key = _SUITE.decrypt(wrapped, private, _context(device, artifact))
    except (InvalidTag, ValueError) as error:
        raise Refused(Reason.ARTIFACT_KEY, f"device {device}") from error
    if len(key) != KEY_BYTES:
        raise Refused(Reason.ARTIFACT_KEY, f"{len(key)} bytes instead of {KEY_BYTES}")
    return key


def _context(device: DeviceId, artifact: Digest) -> bytes:
    return f"edge-sdk/artifact-key/v1/{device}/{artifact}".encode()
