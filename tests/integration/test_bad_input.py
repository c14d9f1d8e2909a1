"""What servers, devices and their commands cannot use: a sentence with what to do, an exit code, nothing written.

Every command is run as a person runs it, against a real server, broker and agent. `edge-sdk convert` has a file of its
own.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_contracts.operations import NewEnrolmentToken, NewOperatorToken, Scope
from edge_sdk.keys import Algorithm, make_keys
from edge_sdk.tickets import make_ticket
from tests.support.bundles import good_bundle
from tests.support.commands import assert_refused, contents, edge_agent, edge_sdk
from tests.support.disks import fill, small_disk
from tests.support.line import Line, running_line

ANY_PORT = ("--operator-port", "0", "--device-port", "0", "--broker-port", "0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that was never started."""
    folder = tmp_path_factory.mktemp("made") / "data"
    assert edge_sdk("server", "init", "--data", folder).returncode == 0
    return folder


@pytest.fixture
def server(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "data"))


def kept(folder: Path) -> dict[str, str]:
    """What must stay as it is when a server does not start: all but its log and what a start always writes anew."""
    anew = ("log", "lock", "fleet.sqlite-", "broker/", "certificates/server.pem", "keys/server.pem")
    return {name: digest for name, digest in contents(folder).items() if not name.startswith(anew)}


# ---- the server ----------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_servers_is_not_started_and_not_touched(tmp_path: Path) -> None:
    assert_refused(edge_sdk("server", "up", "--data", tmp_path / "no"), 3, "is not a fleet server's data folder")
    assert_refused(edge_sdk("server", "up", "--data", tmp_path), 3, "is not a fleet server's data folder")

    assert contents(tmp_path) == {}


@pytest.mark.parametrize("place", ["file/data", "file"])
def test_a_server_is_not_made_where_it_cannot_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")

    assert_refused(edge_sdk("server", "init", "--data", tmp_path / place), 3, "Check that the folder exists")

    assert contents(tmp_path).keys() == {"file"}


@pytest.mark.parametrize("door", ["operator", "device", "broker"])
def test_a_port_in_use_is_named_with_the_option_that_changes_it(server: Path, door: str) -> None:
    before = kept(server)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = [*ANY_PORT, f"--{door}-port", str(port)]

        done = edge_sdk("server", "up", "--data", server, *ports)

    assert_refused(done, 7, f"cannot use 127.0.0.1:{port}: Address already in use.*--{door}-port")
    assert kept(server) == before


SETTINGS = {
    "not TOML": ("names = [", "server.toml is not TOML"),
    "unknown setting": ("colour = 1", "colour: Extra inputs are not permitted"),
    "wrong value": ("[rhythm]\nscheduler_seconds = -1", "rhythm.scheduler_seconds"),
    "no broker": ('[broker]\nport = 0\nprogram = "no-mosquitto"', "'no-mosquitto' is not on this machine.*Install it"),
}


@pytest.mark.parametrize(("text", "sentence"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_that_cannot_be_used_are_named(server: Path, text: str, sentence: str) -> None:
    (server / "server.toml").write_text(f"{text}\n")
    before = kept(server)

    assert_refused(edge_sdk("server", "up", "--data", server, *ANY_PORT), 7, sentence)

    assert kept(server) == before


def test_a_server_is_not_made_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        done = edge_sdk("server", "init", "--data", disk / "data")

        assert_refused(done, 3, "are free on the disk of .*Free at least")
        assert contents(disk) == {}


# ---- the owner and the operator ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_bundle(tmp_path_factory.mktemp("bundles"), 1)


def test_no_server_no_token_and_a_wrong_one_are_told_apart(line: Line) -> None:
    nobody = "http://127.0.0.1:1"

    assert_refused(edge_sdk("devices", "list"), 3, "no fleet server is named")
    assert_refused(edge_sdk("devices", "list", "--server", nobody), 3, "no operator token is given")
    assert_refused(edge_sdk("devices", "list", "--server", nobody, "--token", "t"), 5, "does not answer")
    assert_refused(edge_sdk("devices", "list", "--token", "wrong", line=line), 4, "token is not known here")
    assert_refused(edge_sdk("login", "--server", nobody), 3, "nobody is there to ask")


def test_a_login_that_fails_keeps_nothing(line: Line, tmp_path: Path) -> None:
    server, config = line.client.connection.server, str(tmp_path / "config.toml")
    strange = tmp_path / "ca.pem"
    strange.write_text("no certificate")

    login = ("login", "--server", server, "--token", "wrong")
    assert_refused(edge_sdk(*login, EDGE_SDK_CONFIG=config), 4, "token is not known here")
    assert_refused(edge_sdk(*login, "--ca", strange, EDGE_SDK_CONFIG=config), 3, "ca.pem is not a readable PEM file")
    assert contents(tmp_path).keys() == {"ca.pem"}


def test_a_users_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("server = [")
    config.chmod(0o644)
    assert_refused(edge_sdk("devices", "list", EDGE_SDK_CONFIG=str(config)), 3, "may be read by others")
    config.chmod(0o600)
    assert_refused(edge_sdk("devices", "list", EDGE_SDK_CONFIG=str(config)), 3, "config.toml is not readable")


def test_a_token_without_the_scope_changes_nothing(line: Line, bundle: Path, tmp_path: Path) -> None:
    reader = line.client.make_operator_token(NewOperatorToken(name="reader", scopes=frozenset({Scope.READ})))
    keys = ("--keys", line.keys.path)
    ticket = tmp_path / "ticket.json"

    for command in (
        ("publish", bundle, *keys),
        ("devices", "token", *keys, "--out", ticket),
        ("devices", "revoke", "gate", "--yes"),
        ("rollouts", "create", "digits", "1"),
        ("tokens", "create", "me", "--scope", "admin"),
    ):
        assert_refused(edge_sdk(*command, "--token", reader.secret, line=line), 4, "token of 'reader' lacks the scope")
    assert not ticket.exists()
    assert line.client.models() == []


def test_keys_of_another_owner_publish_nothing_and_make_no_ticket(line: Line, bundle: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    make_keys(others, Algorithm.ED25519, None)
    before = contents(others)
    ticket = tmp_path / "ticket.json"

    assert_refused(edge_sdk("keys", "trust", "--keys", others, line=line), 3, "trusts other keys than those in")
    assert_refused(edge_sdk("publish", bundle, "--keys", others, line=line), 3, "no server has been trusted yet")
    make = ("devices", "token", "--keys", others, "--out", ticket)
    assert_refused(edge_sdk(*make, line=line), 3, "no server has been trusted yet")
    assert_refused(edge_sdk("publish", bundle, "--keys", tmp_path, line=line), 3, "root.pub.json is not readable")
    assert contents(others) == before
    assert not ticket.exists()
    assert line.client.models() == []


def test_a_root_of_another_server_is_not_signed_over(line: Line, bundle: Path, tmp_path: Path) -> None:
    """The owner's own folder with a root that this server has never seen."""
    keys = Path(shutil.copytree(line.keys.path, tmp_path / "keys"))
    root = json.loads((keys / "root.json").read_text())
    root["signed"]["version"] = 7
    (keys / "root.json").write_text(json.dumps(root))

    assert_refused(edge_sdk("publish", bundle, "--keys", keys, line=line), 6, "not signed by the owner's keys")
    assert line.client.models() == []


def test_a_bundle_with_a_changed_byte_is_not_published(line: Line, bundle: Path, tmp_path: Path) -> None:
    publish = ("publish", tmp_path / "bundle", "--keys", line.keys.path)
    for name, sentence in {
        "variants/cpu-litert-digits/model.tflite": "model.tflite differs from the manifest",
        "manifest.json": "manifest.json",
    }.items():
        shutil.copytree(bundle, tmp_path / "bundle")
        path = tmp_path / "bundle" / name
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.write_bytes(data)

        assert_refused(edge_sdk(*publish, line=line), 3, sentence)
        shutil.rmtree(tmp_path / "bundle")
    assert_refused(edge_sdk(*publish, line=line), 3, "manifest.json is not readable")
    assert line.client.models() == []


def test_a_version_is_published_once(line: Line, tmp_path: Path) -> None:
    keys = ("--keys", line.keys.path)
    first, other = good_bundle(tmp_path / "a", 2), good_bundle(tmp_path / "b", 2)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["created"] = "2026-02-01T12:00:00Z"
    (other / "manifest.json").write_text(json.dumps(manifest))

    assert edge_sdk("publish", first, *keys, line=line).returncode == 0
    release = line.client.release("digits", 2)

    assert_refused(edge_sdk("publish", other, *keys, line=line), 3, "digits version 2 .*published")
    assert line.client.release("digits", 2) == release


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("rollouts", "create", "digits", "99"), 4, "no release digits 99"),
        (("rollouts", "create", "My Model", "1"), 3, "'My Model' is not a name"),
        (("rollouts", "create", "digits", "1", "--waves", "10,5"), 3, "'10,5' is no list of percentages that grow"),
        (("rollouts", "create", "digits", "1", "--on-breach", "panic"), 3, "on_breach"),
        (("rollouts", "create", "digits", "1", "--label", "berlin"), 3, "'berlin' is not a label"),
        (("rollouts", "watch", "r-none"), 4, "no rollout r-none"),
        (("rollouts", "pause", "r-none"), 4, "no rollout r-none"),
        (("releases", "show", "digits", "99"), 3, "digits version 99 is not published"),
        (("devices", "show", "nobody"), 4, "no device nobody"),
        (("devices", "revoke", "nobody"), 3, "Nobody is there to ask"),
        (("devices", "token", "--profile", "My Board"), 3, "'My Board' is not a name"),
        (("alerts", "ack", "a-none"), 4, "no alert a-none"),
        (("telemetry", "--since", "yesterday"), 3, "'yesterday' is not a time"),
        (("tokens", "create", "me", "--scope", "everything"), 3, "scopes"),
        (("emulate", "--profile", "commodore-64"), 3, "no hardware profile 'commodore-64'"),
        (("emulate", "--profile", "rpi4-litert", "--fault", "rain=1"), 3, "no fault 'rain'"),
        (("emulate", "--profile", "rpi4-litert", "--ticket", "none.json"), 3, "no file none.json"),
        (("emulate", "--profile", "rpi4-litert", "--agent-python", "none"), 3, "no file .*none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_not_there_or_not_valid_is_named(
    line: Line, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    assert_refused(edge_sdk(*arguments, line=line, folder=tmp_path), code, sentence)

    assert contents(tmp_path) == {}


@pytest.mark.slow
def test_a_full_disk_of_the_server_takes_no_release_and_the_next_try_does(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "80m") as disk, running_line(disk) as line:
        bundle = good_bundle(tmp_path, 1)
        publish = ("publish", bundle, "--keys", shutil.copytree(line.keys.path, tmp_path / "keys"))
        ballast = fill(disk)

        assert_refused(edge_sdk(*publish, line=line), 4, "No space is left|disk of the server is full")

        ballast.unlink()
        assert line.client.models() == []
        assert list((disk / "server" / "blobs").rglob("*.tmp")) == []
        assert edge_sdk(*publish, line=line).returncode == 0


# ---- the device ----------------------------------------------------------------------------------------------------


def settings(folder: Path, text: str = "") -> Path:
    """The settings file of an agent in `folder`, with `text` behind the two keys that must be there."""
    path = folder / "agent.toml"
    path.write_text(f'state_dir = "state"\nprofile = "rpi4-litert"\n{text}\n[inference]\nport = 0\n')
    return path


AGENT = {
    "not TOML": ("profile = ", "agent.toml is not TOML"),
    "unknown key": ("colour = 1", "unknown key 'colour'. Known here: .*telemetry"),
    "wrong value": ("[telemetry]\nwindow_s = -1", "telemetry.window_s = -1"),
    "a name with blanks": ('name = "My Device"', "name = 'My Device' is not a name"),
}


@pytest.mark.parametrize(("text", "sentence"), AGENT.values(), ids=AGENT.keys())
def test_an_agents_settings_that_cannot_be_used_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    config = settings(tmp_path, text)

    assert_refused(edge_agent("run", "--config", config), 3, sentence)
    assert_refused(edge_agent("config", "--check", config), 3, sentence)
    assert contents(tmp_path).keys() == {"agent.toml"}


def test_an_agent_without_settings_ticket_or_folder_says_so(tmp_path: Path) -> None:
    config = settings(tmp_path)
    run = ("run", "--config", config)

    assert_refused(edge_agent("run", "--config", tmp_path / "none.toml"), 3, "none.toml cannot be read: No such file")
    assert_refused(edge_agent(*run), 4, "this device is not enrolled.*devices token")
    assert_refused(edge_agent(*run, "--ticket", "none.json"), 4, "none.json cannot be read: No such file")
    assert_refused(edge_agent("status", "--config", config), 7, "no agent is running.*Start one")
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").write_text("in the way")
    assert_refused(edge_agent(*run), 6, "state folder .*state cannot be used: ")


def enrol(line: Line, folder: Path, ticket: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return edge_agent("enrol", "--config", settings(folder), "--ticket", ticket)


def ticket_of(line: Line, folder: Path, spoil: Callable[[dict[str, str]], object] = dict) -> Path:
    path = folder / "ticket.json"
    make_ticket(line.client, line.keys, NewEnrolmentToken(), path)
    fields = json.loads(path.read_text())
    spoil(fields)
    path.write_text(json.dumps(fields))
    return path


TICKETS: dict[str, tuple[Callable[[dict[str, str]], object], str]] = {
    "expired": (lambda fields: fields.update(expires="2026-01-01T00:00:00Z"), "ticket .*expired"),
    "a wrong token": (lambda fields: fields.update(token="et_none"), "token"),
    "a closed port": (lambda fields: fields.update(server="https://127.0.0.1:1"), "https://127.0.0.1:1 did not answer"),
    "another authority": (lambda fields: fields.update(ca="none"), "ticket"),
    "a field missing": (lambda fields: fields.pop("root"), "root"),
}


@pytest.mark.parametrize(("spoil", "sentence"), TICKETS.values(), ids=TICKETS.keys())
def test_a_ticket_that_cannot_be_used_makes_no_identity(
    line: Line, tmp_path: Path, spoil: Callable[[dict[str, str]], object], sentence: str
) -> None:
    done = enrol(line, tmp_path / "device", ticket_of(line, tmp_path, spoil))

    assert_refused(done, 4, sentence)
    identity = {path.name for path in (tmp_path / "device" / "state" / "identity").glob("*")}
    assert identity <= {"device.key", "hpke.key"}  # made once, used again by the next try
    assert line.client.devices() == []


def test_a_used_ticket_enrols_no_second_device(line: Line, tmp_path: Path) -> None:
    ticket = ticket_of(line, tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"

    assert enrol(line, first, ticket).returncode == 0
    (device,) = line.client.devices()
    assert_refused(enrol(line, second, ticket), 4, "token|ticket")
    assert line.client.devices() == [device]
    line.client.revoke(device.id)


def test_a_full_disk_of_the_device_makes_no_half_identity(line: Line, tmp_path: Path) -> None:
    ticket = ticket_of(line, tmp_path)
    with small_disk(tmp_path / "disk", "64k") as disk:
        config = settings(disk)
        ballast = fill(disk)

        assert_refused(
            edge_agent("run", "--config", config, "--ticket", ticket),
            4,
            "identity cannot be written .*No space left on device",
        )

        ballast.unlink()
        assert edge_agent("enrol", "--config", config, "--ticket", ticket).returncode in (0, 4)
