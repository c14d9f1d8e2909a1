"""The folder of signing keys: private, never overwritten, opened by its passphrase only."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.errors import BadInput
from edge_sdk.keys import Algorithm, Role, describe, make_keys, open_keys


def no_passphrase() -> str:
    raise AssertionError("no passphrase is needed")


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_keys_sign_and_their_public_halves_verify(tmp_path: Path, algorithm: Algorithm) -> None:
    keys = make_keys(tmp_path / "keys", algorithm, None)

    for role in Role:
        signature = keys.signer(role, no_passphrase).sign(b"data")
        keys.public(role).verify_signature(signature, b"data")


def test_only_the_owner_may_read_the_keys(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", Algorithm.ED25519, None)

    assert keys.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.path.iterdir()} == {0o600}


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", Algorithm.ED25519, None)
    (keys.path / "root.pem").chmod(0o644)

    with pytest.raises(BadInput, match="may be read by others") as caught:
        open_keys(keys.path)

    assert "chmod 600" in caught.value.hint


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", Algorithm.ED25519, None)
    before = keys.public(Role.ROOT).keyid

    with pytest.raises(BadInput, match="holds keys already"):
        make_keys(tmp_path / "keys", Algorithm.ED25519, None)

    assert open_keys(keys.path).public(Role.ROOT).keyid == before


def test_a_passphrase_opens_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", Algorithm.ED25519, "correct horse")

    assert keys.encrypted
    assert describe(keys).root is None
    keys.signer(Role.ROOT, lambda: "correct horse").sign(b"data")
    with pytest.raises(BadInput, match="the passphrase is wrong"):
        keys.signer(Role.ROOT, lambda: "battery staple")


def test_a_folder_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        open_keys(tmp_path)

    assert "edge-sdk keys init" in caught.value.hint


def test_a_damaged_key_is_told_from_a_wrong_passphrase(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", Algorithm.ED25519, None)
    (keys.path / "targets.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")

    with pytest.raises(BadInput, match="the file is damaged"):
        keys.signer(Role.TARGETS, no_passphrase)


def test_metadata_needs_a_trusted_server_first(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", Algorithm.ED25519, None)

    with pytest.raises(BadInput) as caught:
        keys.root()

    assert "edge-sdk keys trust" in caught.value.hint
