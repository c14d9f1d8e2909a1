"""Ciphertext in segments: nothing that was changed, cut, reordered or repeated decrypts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_contracts.errors import Refused
from edge_contracts.reasons import Reason
from edge_contracts.segments import HEADER_BYTES, TAG_BYTES, ciphertext_length, decrypt, encrypt, new_key

SEGMENT = 100


def plain(artifact: bytes, key: bytes) -> bytes:
    return b"".join(decrypt(artifact, key))


@given(st.binary(max_size=1000), st.integers(1, 300))
def test_what_was_encrypted_comes_back(data, segment):
    key = new_key()
    artifact = encrypt(data, key, segment)
    assert plain(artifact, key) == data
    assert len(artifact) == ciphertext_length(len(data), segment)


def segments(artifact: bytes) -> list[bytes]:
    step = SEGMENT + TAG_BYTES
    body = artifact[HEADER_BYTES:]
    return [body[i : i + step] for i in range(0, len(body), step)]


DAMAGE = {
    "truncated at a segment": lambda h, s: h + b"".join(s[:-1]),
    "truncated inside": lambda h, s: (h + b"".join(s))[:-5],
    "first segment missing": lambda h, s: h + b"".join(s[1:]),
    "reordered": lambda h, s: h + b"".join([s[1], s[0], *s[2:]]),
    "duplicated": lambda h, s: h + b"".join([s[0], s[0], *s[1:]]),
    "a tail": lambda h, s: h + b"".join(s) + b"\0" * (SEGMENT + TAG_BYTES),
    "a bit of the body": lambda h, s: h + b"".join(s[:1]) + bytes([s[1][0] ^ 1]) + s[1][1:] + b"".join(s[2:]),
    "another segment size": lambda h, s: h[:8] + (SEGMENT * 2).to_bytes(4, "big") + h[12:] + b"".join(s),
    "another nonce": lambda h, s: h[:12] + b"\0" * 7 + b"".join(s),
    "another magic": lambda h, s: b"EDGEART2" + h[8:] + b"".join(s),
    "a huge segment size": lambda h, s: h[:8] + b"\xff" * 4 + h[12:] + b"".join(s),
    "no header": lambda h, s: h[:10],
    "empty": lambda h, s: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_artifact_is_refused(damage):
    key = new_key()
    artifact = encrypt(bytes(range(250)) + b"tail", key, SEGMENT)
    broken = damage(artifact[:HEADER_BYTES], segments(artifact))
    with pytest.raises(Refused) as refused:
        plain(broken, key)
    assert refused.value.reason is Reason.ARTIFACT_TAMPERED


def test_another_key_does_not_open_it():
    with pytest.raises(Refused):
        plain(encrypt(b"secret", new_key()), new_key())
