"""Setting the server up, starting and stopping it; every way it can fail to start says in one sentence what to do."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from edge_fleet import app
from edge_fleet.__main__ import CANNOT_START, main
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.errors import CannotStart
from edge_fleet.records.schema import METADATA
from edge_fleet.settings import Settings, read_settings
from tests.edge_fleet.server_case import ANY_PORTS, edge_fleet, initialise, must, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("lifecycle") / "data"
    initialise(data)
    return data


def last_words(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What the program says when it cannot start: one line."""
    assert main([str(argument) for argument in arguments]) == CANNOT_START
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_fresh_server_works_and_stops_when_told(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, initialise(data)) as server:
        with server.operator() as operator:
            assert must(operator.get("/v1/devices")).json() == {"items": [], "next": None}
        assert server.ready["event"] == "ready"
        assert server.ready["pid"] == server.process.pid
        busy = edge_fleet("up", "--data", data, *ANY_PORTS)
        assert "Another server is using" in busy.communicate(timeout=20)[1]
        assert busy.returncode == CANNOT_START
        assert server.stop(signal.SIGINT) == 0
        assert server.broker_pids() == []


def test_secrets_are_private_and_everything_is_in_one_folder(folder: Path) -> None:
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    names = {path.name for path in (folder / "keys").iterdir()}
    assert names == {"authority.pem", "director.pem", "snapshot.pem", "timestamp.pem", "kek.bin"}
    assert {path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folder.glob("fleet.sqlite*")} == {0o600}


def test_settings_with_a_database_password_are_private_and_nothing_is_for_others_to_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        app.initialise(Settings(data=tmp_path / "data", database=f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"))
    finally:
        os.umask(before)
    assert (tmp_path / "data" / "server.toml").stat().st_mode & 0o777 == 0o600
    found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert [path for path in found if path.name != "lock" and path.stat().st_mode & 0o022] == []


def test_a_folder_is_set_up_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "is set up already" in last_words(capsys, "init", "--data", folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_interrupted_set_up_is_continued_with_the_keys_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert main(["init", "--data", str(data), "--name", "fleet.example"]) == 0
    keys = {path.name: path.read_bytes() for path in (data / "keys").iterdir()}
    (data / "initialised").unlink()
    assert "not a fleet server's data folder" in last_words(capsys, "up", "--data", data, *ANY_PORTS)
    assert main(["init", "--data", str(data)]) == 0
    assert {path.name: path.read_bytes() for path in (data / "keys").iterdir()} == keys
    assert read_settings(data, None, {}).names == ("fleet.example",)


def test_a_folder_that_is_none_of_ours_is_not_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "edge-sdk server init" in last_words(capsys, "up", "--data", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("door", ["operator", "device", "broker"])
def test_a_port_in_use_is_named_with_the_option_that_changes_it(
    folder: Path, door: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = last_words(capsys, "up", "--data", folder, *ANY_PORTS, f"--{door}-port", str(port))
    assert f"127.0.0.1:{port}" in words
    assert "in use" in words
    assert f"--{door}-port" in words


def test_a_missing_broker_is_named_with_how_to_install_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "server.toml"
    settings.write_text(f'data = "{folder}"\n[broker]\nprogram = "no-such-broker"\n')
    words = last_words(capsys, "up", "--config", settings, *ANY_PORTS)
    assert "no-such-broker" in words
    assert "apt-get install mosquitto" in words


def test_a_broker_that_does_not_come_up_is_quoted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "server.toml"
    settings.write_text(f'data = "{folder}"\n[broker]\nprogram = "/bin/false"\n')
    assert "The broker does not start" in last_words(capsys, "up", "--config", settings, *ANY_PORTS)


def test_a_full_disk_is_seen_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LEAST_FREE_BYTES", 2**62)
    assert "are free on the disk" in last_words(capsys, "init", "--data", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "Not a directory" in last_words(capsys, "init", "--data", tmp_path / "file" / "data")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "holds something else" in last_words(capsys, "init", "--data", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_database_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    initialise(tmp_path)
    (tmp_path / "fleet.sqlite").write_bytes(b"damaged")
    assert "file is not a database. Check that" in last_words(capsys, "up", "--data", tmp_path, *ANY_PORTS)


def test_a_database_of_a_later_version_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    initialise(tmp_path)
    with closing(sqlite3.connect(tmp_path / "fleet.sqlite")) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "made by another version" in last_words(capsys, "up", "--data", tmp_path, *ANY_PORTS)


def test_a_damaged_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    initialise(data)
    for name in ("kek.bin", "director.pem", "authority.pem"):
        path = data / "keys" / name
        whole = path.read_bytes()
        path.write_bytes(b"damaged")
        assert "Restore it from a backup" in last_words(capsys, "up", "--data", data, *ANY_PORTS)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("names = [", "is not TOML"),
        ("port = 1", "port: Extra inputs"),
        ("[device_door]\nport = 70000", "device_door.port"),
        ('tenant = "Not An Id"', "tenant"),
        ("names = []", "names"),
        ('names = ["https://fleet.example:8443"]', "names.0"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str) -> None:
    (tmp_path / "server.toml").write_text(text)
    assert sentence in last_words(capsys, "up", "--data", tmp_path)
    assert "No such file" in last_words(capsys, "up", "--config", tmp_path / "missing.toml")


def test_settings_survive_being_written(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, names=("fleet.example", "10.0.0.1"), database="postgresql://host/fleet")
    (tmp_path / "server.toml").write_text(settings.as_toml())
    assert read_settings(tmp_path, None, {}) == settings
    changed = read_settings(tmp_path, None, {"broker": {"port": 0}})
    assert (changed.broker.port, changed.broker.host) == (0, "127.0.0.1")
    with pytest.raises(CannotStart):
        read_settings(None, None, {})


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "fleet.sqlite"))
    database.migrate()
    database.migrate()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    database.close()
    with sqlite3.connect(tmp_path / "fleet.sqlite") as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_init_prints_the_token_as_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--data", str(tmp_path / "data")]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["event"] == "initialised"
    assert made["admin_token"].startswith("op_")
