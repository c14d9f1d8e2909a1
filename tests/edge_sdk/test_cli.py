"""The command line as a person and a script meet it: help, JSON, sentences, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from edge_contracts import errors as contract_errors
from edge_contracts.operations import NewRollout
from edge_converters import errors as converter_errors
from edge_profiles.errors import InvalidProfile
from edge_sdk import errors as sdk_errors
from edge_sdk.cli import app
from edge_sdk.cli.failures import EXIT_CODES, explain
from edge_sdk.cli.words import ago, labels_from, shares_from
from tests.support.bundles import good_bundle
from tests.support.line import Line


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))
each_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def run(*arguments: str | Path, line: Line | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    connection = line.client.connection if line else None
    told = {"EDGE_SDK_SERVER": connection.server, "EDGE_SDK_TOKEN": connection.token} if connection else {}
    return subprocess.run(
        [sys.executable, "-c", "from edge_sdk.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/usr/sbin:/bin",
            "EDGE_SDK_CONFIG": "/nonexistent",
            "COLUMNS": "200",
            **told,
            **environment,
        },
    )


@each_command
def test_every_command_has_an_example_and_json(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]

    told = f"{command.help or ''} {command.epilog or ''}"
    assert f"Example: edge-sdk {' '.join(path)}" in " ".join(told.split())
    assert any("--json" in parameter.opts for parameter in command.params)


def test_every_error_of_every_part_has_a_documented_exit_code() -> None:
    reason = contract_errors.Refused(next(iter(contract_errors.REASONS)), "detail")
    made: list[Exception] = [reason, InvalidProfile("m"), contract_errors.Malformed("m")]
    made += [
        kind("m")
        for module in (sdk_errors, converter_errors)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not sdk_errors.Rejected
    ]
    made.append(sdk_errors.Rejected("m", "h", code="c", status=404))

    failures = [explain(error) for error in made]

    assert all(failure is not None and failure.code in EXIT_CODES for failure in failures)
    assert explain(RuntimeError("a defect")) is None


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    program = "import sys; import edge_sdk.cli; print(*sys.modules)"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert not {"numpy", "httpx", "tuf", "cryptography", "tensorflow"} & set(done.stdout.split())
    assert time.monotonic() - start < 5


def test_an_unknown_option_ends_with_2() -> None:
    assert run("devices", "list", "--no-such").returncode == 2


def test_no_server_named_is_one_sentence_with_what_to_do() -> None:
    done = run("devices", "list")

    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == "edge-sdk: no fleet server is named"
    assert "edge-sdk login" in done.stderr


def test_a_server_that_does_not_answer_ends_with_5() -> None:
    done = run("devices", "list", "--server", "http://127.0.0.1:1", "--token", "t")

    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_a_wrong_token_ends_with_4(line: Line) -> None:
    assert run("devices", "list", "--token", "wrong", line=line).returncode == 4


def test_keys_are_made_shown_and_trusted(line: Line, tmp_path: Path) -> None:
    keys = tmp_path / "keys"

    made = run("keys", "init", "--keys", keys, "--encrypt", "--json", EDGE_SDK_PASSPHRASE="secret")
    again = run("keys", "init", "--keys", keys)
    shown = run("keys", "show", "--keys", keys, "--json")

    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == json.loads(shown.stdout)
    assert json.loads(made.stdout)["encrypted"] is True
    assert again.returncode == 3
    assert "not overwritten" in again.stderr
    refused = run("keys", "trust", "--keys", keys, line=line, EDGE_SDK_PASSPHRASE="secret")
    assert refused.returncode == 3, refused.stderr
    assert "trusts other keys" in refused.stderr
    assert not (keys / "root.json").exists()


def test_a_bundle_is_published_listed_and_rolled_out_by_commands(line: Line, tmp_path: Path) -> None:
    bundle = good_bundle(tmp_path, 41)

    published = run("publish", bundle, "--keys", line.keys.path, "--json", line=line)
    listed = run("releases", "list", "digits", "--json", line=line)
    shown = run("releases", "show", "digits", "41", line=line)
    rollout = run("rollouts", "create", "digits", "41", "--draft", "--waves", "50,100", "--json", line=line)
    aborted = run("rollouts", "abort", json.loads(rollout.stdout)["rollout"]["id"], line=line)

    assert published.returncode == 0, published.stderr
    assert json.loads(published.stdout)["repeated"] is False
    assert 41 in {release["version"] for release in json.loads(listed.stdout)}
    assert "cpu-ort-digits" in shown.stdout
    assert json.loads(rollout.stdout)["rollout"]["plan"]["waves"] == [0.5, 1.0]
    assert "aborted" in aborted.stdout


def test_a_folder_that_is_no_bundle_ends_with_3(line: Line, tmp_path: Path) -> None:
    done = run("publish", tmp_path, "--keys", line.keys.path, line=line)

    assert done.returncode == 3
    assert "edge-sdk convert" in done.stderr


def test_a_ticket_holds_the_owners_root_and_is_private(line: Line, tmp_path: Path) -> None:
    out = tmp_path / "ticket.json"

    done = run("devices", "token", "--keys", line.keys.path, "--out", out, "--label", "site=berlin", line=line)

    assert done.returncode == 0, done.stderr
    ticket = json.loads(out.read_text())
    assert ticket["root"].encode() == line.keys.root_bytes()
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", [("devices", "list"), ("rollouts", "list"), ("telemetry",), ("alerts", "list")])
def test_lists_are_tables_for_people_and_arrays_for_programs(line: Line, command: tuple[str, ...]) -> None:
    assert run(*command, line=line).returncode == 0
    assert isinstance(json.loads(run(*command, "--json", line=line).stdout), list)


def test_a_server_folder_is_made_once(tmp_path: Path) -> None:
    first = run("server", "init", "--data", tmp_path / "data", "--json")
    second = run("server", "init", "--data", tmp_path / "data")

    assert json.loads(first.stdout)["admin_token"]
    assert second.returncode == 3
    assert "is set up already" in second.stderr


def test_a_server_without_a_folder_says_how_to_make_one(tmp_path: Path) -> None:
    done = run("server", "up", "--data", tmp_path / "data")

    assert done.returncode == 3
    assert "server init" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_said(line: Line, tmp_path: Path) -> None:
    run("server", "init", "--data", tmp_path / "data")
    done = run(
        "server", "up", "--data", tmp_path / "data", "--device-port", "0", "--operator-port", str(line.ports.operator)
    )

    assert done.returncode == 7
    assert str(line.ports.operator) in done.stderr


@pytest.mark.slow
def test_a_server_that_crashes_comes_back_where_devices_know_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("server", "init", "--data", data, "--name", "127.0.0.1")
    free = [text for door in ("operator", "device", "broker") for text in (f"--{door}-port", "0")]
    command = [sys.executable, "-c", "from edge_sdk.cli import main; main()"]
    with subprocess.Popen(
        [*command, "server", "up", "--data", str(data), *free, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stdout
        first = json.loads(up.stdout.readline())
        os.kill(first["pid"], signal.SIGKILL)
        second = json.loads(up.stdout.readline())
        up.terminate()
        told = up.communicate()[1]

    assert first.pop("pid") != second.pop("pid")
    assert first == second
    assert "The server ended (ended by SIGKILL); starting it again." in told
    assert up.returncode == 0


@pytest.mark.slow
def test_watching_goes_on_when_the_server_was_away(line: Line, tmp_path: Path) -> None:
    line.publish(good_bundle(tmp_path, 77))
    rollout = line.client.create_rollout(
        NewRollout.model_validate({"model": "digits", "version": 77, "selector": {}, "start": False})
    )
    command = [sys.executable, "-c", "from edge_sdk.cli import main; main()", "rollouts", "watch", rollout.id]
    connection = line.client.connection
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EDGE_SDK_SERVER": connection.server, "EDGE_SDK_TOKEN": connection.token},
    ) as watching:
        assert watching.stderr
        assert "draft" in watching.stderr.readline()
        line.server.kill()
        assert "Still watching" in watching.stderr.readline()
        line.start_server()
        line.client.steer(rollout.id, "abort")
        told = watching.communicate(timeout=30)[1]

    assert watching.returncode == 1
    assert "ended as aborted" in told


def test_the_demo_does_not_touch_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    done = run("demo", "--dir", tmp_path)

    assert done.returncode == 3
    assert "is not empty" in done.stderr


def test_emulating_an_unknown_profile_names_the_known_ones() -> None:
    done = run("emulate", "--profile", "commodore-64")

    assert done.returncode == 3
    assert "rpi4-litert" in done.stderr


@pytest.mark.parametrize("text", ["", "a", "0", "101", "50,,100", "50,50", "10,5"])
def test_wrong_waves_are_refused(text: str) -> None:
    with pytest.raises(sdk_errors.BadInput):
        shares_from(text)


def test_labels_need_a_name_and_a_value() -> None:
    assert labels_from(["site=berlin", "x="]) == {"site": "berlin", "x": ""}
    with pytest.raises(sdk_errors.BadInput):
        labels_from(["berlin"])


def test_a_moment_that_never_was_is_never() -> None:
    assert ago(None) == "never"
