"""Where server and token come from, and how the user's file is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.errors import BadInput
from edge_sdk.settings import Connection, connection, save


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "folder" / "config.toml"
    monkeypatch.setenv("EDGE_SDK_CONFIG", str(path))
    for name in ("EDGE_SDK_SERVER", "EDGE_SDK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_a_saved_connection_is_used_and_readable_by_the_user_alone(config: Path) -> None:
    kept = Connection("http://127.0.0.1:8080", 'op_"quoted"\\')

    assert save(kept) == config
    assert connection(None, None) == kept
    assert config.stat().st_mode & 0o777 == 0o600


def test_a_flag_beats_the_environment_which_beats_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(Connection("http://file", "file"))
    monkeypatch.setenv("EDGE_SDK_SERVER", "http://environment/")

    assert connection(None, None) == Connection("http://environment", "file")
    assert connection("http://flag", "flag") == Connection("http://flag", "flag")


def test_a_file_that_others_may_read_is_refused(config: Path) -> None:
    save(Connection("http://file", "file"))
    config.chmod(0o644)

    with pytest.raises(BadInput, match="may be read by others"):
        connection(None, None)


def test_a_broken_file_is_said(config: Path) -> None:
    save(Connection("http://file", "file"))
    config.write_text("server = ")

    with pytest.raises(BadInput, match="is not readable"):
        connection(None, None)


@pytest.mark.parametrize(("server", "word"), [(None, "fleet server"), ("http://a", "operator token")])
def test_what_is_missing_is_named(config: Path, server: str | None, word: str) -> None:
    with pytest.raises(BadInput, match=word) as caught:
        connection(server, None)

    assert "edge-sdk login" in caught.value.hint
