"""Artifacts as ciphertext: AES-256-GCM in the STREAM construction, segment by segment.

STREAM: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance",
CRYPTO 2015. The nonce is prefix (7 bytes) || segment counter (4) || last flag (1), so that truncated, reordered or
duplicated segments fail. Layout: magic (8) || segment size, big endian (4) || prefix (7) || segments, each the
ciphertext and its 16-byte tag. The header is the associated data of every segment.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge_contracts.errors import Refused
from edge_contracts.reasons import Reason

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
SEGMENT_BYTES: Final = 64 * 1024
"""Plaintext bytes of a full segment."""
MAX_SEGMENT_BYTES: Final = 1024 * 1024
_MAGIC: Final = b"EDGEART1"
_PREFIX_BYTES: Final = 7
_HEADER: Final = struct.Struct(f">8sI{_PREFIX_BYTES}s")
HEADER_BYTES: Final = _HEADER.size


def new_key() -> bytes:
    """A fresh random artifact key."""
    return os.urandom(KEY_BYTES)


def encrypt(plaintext: bytes, key: bytes, segment_bytes: int = SEGMENT_BYTES) -> bytes:
    """The artifact. Each call draws a new nonce prefix, so two artifacts of one plaintext differ."""
    header = _HEADER.pack(_MAGIC, segment_bytes, os.urandom(_PREFIX_BYTES))
    cipher = AESGCM(key)
    pieces = [header]
    starts = range(0, max(len(plaintext), 1), segment_bytes)
    for counter, start in enumerate(starts):
        nonce = _nonce(header, counter, last=counter == len(starts) - 1)
        pieces.append(cipher.encrypt(nonce, plaintext[start : start + segment_bytes], header))
    return b"".join(pieces)


def ciphertext_length(plaintext_length: int, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Bytes of the artifact of a plaintext of that length."""
    segments = max(1, -(-plaintext_length // segment_bytes))
    return HEADER_BYTES + plaintext_length + segments * TAG_BYTES


def decrypt(artifact: bytes | memoryview, key: bytes) -> Iterator[bytes]:
    """The plaintext, a segment at a time; each yielded segment is authentic and in its place.

    The caller may use the whole only after the iterator has ended: only then is it known to be complete.

    Raises:
        Refused: artifact-tampered (also while iterating).
    """
    view = memoryview(artifact)
    try:
        magic, segment_bytes, _prefix = _HEADER.unpack_from(view)
    except struct.error as error:
        raise Refused(Reason.ARTIFACT_TAMPERED, "shorter than its header") from error
    if magic != _MAGIC or not 0 < segment_bytes <= MAX_SEGMENT_BYTES:
        raise Refused(Reason.ARTIFACT_TAMPERED, "unknown header")
    header = bytes(view[:HEADER_BYTES])
    body = view[HEADER_BYTES:]
    cipher = AESGCM(key)
    starts = range(0, max(len(body), 1), segment_bytes + TAG_BYTES)
    for counter, start in enumerate(starts):
        piece = body[start : start + segment_bytes + TAG_BYTES]
        nonce = _nonce(header, counter, last=counter == len(starts) - 1)
        try:
            yield cipher.decrypt(nonce, piece, header)
        except (InvalidTag, ValueError) as error:
            raise Refused(Reason.ARTIFACT_TAMPERED, f"segment {counter}") from error


def _nonce(header: bytes, counter: int, *, last: bool) -> bytes:
    return header[-_PREFIX_BYTES:] + struct.pack(">IB", counter, last)
