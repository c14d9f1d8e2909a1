"""The whole agent as a process: enrolled over HTTPS, told by a real broker, serving a real model, killed, started."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_contracts import codec
from edge_contracts.api import EnrolmentResponse
from edge_contracts.messages import Command, CommandName, Desired
from edge_contracts.topics import COMMAND, DESIRED
from tests.edge_agent.telemetry.agent import RunningAgent, command, no_space, write_settings
from tests.edge_agent.telemetry.fleet import Server, eventually
from tests.edge_agent.updating.door import DEVICE, TENANT, Door
from tests.support.broker import LOOPBACK, Authority, Broker

pytestmark = [pytest.mark.slow, pytest.mark.device]


class FrontDoor(Door):
    """The door, which names a broker of the same authority."""

    mqtt_port = 0

    def enrol(self, body: bytes) -> tuple[int, bytes]:
        status, answer = super().enrol(body)
        if status == 200:
            response = EnrolmentResponse.model_validate_json(answer)
            answer = response.model_copy(update={"mqtt_port": self.mqtt_port}).model_dump_json().encode()
        return status, answer


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FrontDoor]:
    folder = tmp_path / "door"
    folder.mkdir()
    opened = FrontDoor(folder)
    yield opened
    opened.close()


@pytest.fixture
def own_broker(tmp_path: Path, door: FrontDoor) -> Iterator[Broker]:
    made = Broker(tmp_path / "broker", Authority(tmp_path / "issued", door._ca_key, door.ca))
    door.mqtt_port = made.port
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(own_broker: Broker) -> Iterator[Server]:
    made = Server(own_broker, TENANT, DEVICE)
    yield made
    made.close()


def outcomes(server: Server) -> list[str]:
    return [str(report.outcome) for report in server.of("ev") if report.outcome]


def test_a_release_is_installed_serves_is_watched_and_outlives_a_power_cut(door, server, tmp_path):
    config = write_settings(tmp_path, window_s=1.0)
    agent = RunningAgent(config, door.ticket(tmp_path))
    assert (agent.ready["device"], agent.status()["running"]) == (DEVICE, None)

    door.assign(door.publish(1), "d-1")
    server.send(DESIRED, codec.encode(Desired(counter=1)))
    eventually(lambda: outcomes(server) == ["succeeded"], timeout_s=30)

    assert agent.infer(64) >= 60
    eventually(lambda: sum(window.n for window in server.of("tw")) == 64)
    assert {(w.model, w.version, w.errors) for w in server.of("tw")} == {("digits", 1, 0)}
    running = agent.status()["running"]
    assert (running["version"], running["engine"], running["accelerator"]) == (1, "onnxruntime", "cpu")
    eventually(lambda: server.of("hb")[-1].running.version == 1)
    assert "onnxruntime/cpu" in server.of("birth")[-1].engines

    before = {boot for boot, _ in server.committed}
    agent.kill()
    eventually(lambda: server.of("death"))
    again = RunningAgent(config)
    eventually(again.answers, timeout_s=20)
    assert again.infer(8) >= 7
    assert command("flush", "--config", config).returncode == 0
    eventually(lambda: sum(window.n for window in server.of("tw")) == 72)
    assert len({window.boot for window in server.of("tw")}) == 2

    assert again.stop() == 0
    twice = {boot for (boot, _), times in server.committed.items() if times > 1}
    assert twice <= before, "only what had no answer yet when the power went is sent again"
    assert max(server.committed.values()) <= 2
    steps = json.loads(command("journal", "--config", config, "--json").stdout)
    assert [step["after"] for step in steps][-3:] == ["probation", "committing", "idle"]
    assert command("status", "--config", config).returncode == 7


def test_a_command_of_the_server_ends_a_probation(door, server, tmp_path):
    agent = RunningAgent(write_settings(tmp_path), door.ticket(tmp_path))
    door.assign(door.publish(1), "d-1", probation_seconds=3600)
    server.send(COMMAND, codec.encode(Command(name=CommandName.CHECK, expires=4e9)))
    eventually(lambda: agent.status()["state"] == "probation", timeout_s=30)

    server.send(COMMAND, codec.encode(Command(name=CommandName.ABORT, deployment="d-1", expires=1.0)))
    server.send(COMMAND, codec.encode(Command(name=CommandName.ABORT, deployment="d-1", expires=4e9)))

    eventually(lambda: outcomes(server) == ["rolled-back"], timeout_s=20)
    assert "has expired" in agent.log.read_text()
    assert agent.stop() == 0


def test_without_a_broker_and_a_server_the_agent_serves_on(door, own_broker, tmp_path):
    config = write_settings(tmp_path, more="[update]\npoll_s = 0.5\n")
    agent = RunningAgent(config, door.ticket(tmp_path))
    door.assign(door.publish(1), "d-1")
    eventually(agent.answers, timeout_s=30)
    eventually(lambda: agent.status()["state"] == "idle")
    agent.stop()
    own_broker.stop()
    door.close()

    agent = RunningAgent(config)
    eventually(agent.answers, timeout_s=20)

    assert agent.infer(8) >= 7
    status = agent.status()
    assert not status["link"]["connected"]
    assert status["spool"]["events"] > 0
    text = command("status", "--config", config).stdout
    assert "not connected: no connection to the broker" in text
    assert agent.stop() == 0


def test_systemd_is_told_that_the_agent_is_ready_alive_and_stopping(door, own_broker, tmp_path):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(10)
        environment = {**os.environ, "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        agent = RunningAgent(write_settings(tmp_path), door.ticket(tmp_path), environment)
        told = [listener.recv(64) for _ in range(3)]
        agent.stop()
        while told[-1] != b"STOPPING=1":
            told.append(listener.recv(64))

    assert told[0] == b"READY=1"
    assert set(told[1:-1]) == {b"WATCHDOG=1"}


def test_what_stops_an_enrolled_agent_from_starting_is_one_sentence_and_a_code(door, own_broker, tmp_path):
    config = write_settings(tmp_path)
    assert command("enrol", "--config", config, "--ticket", door.ticket(tmp_path)).returncode == 0
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        busy = command("run", "--config", write_settings(tmp_path, port=taken.getsockname()[1]))
    agent = RunningAgent(write_settings(tmp_path))
    second = command("run", "--config", config)
    agent.stop()
    nowhere = command("run", "--config", write_settings(tmp_path, state_dir=config.name))
    write_settings(tmp_path)
    config.write_text(config.read_text().replace('"gateway"', '"other"'), encoding="utf-8")
    other = command("run", "--config", config)

    for done, code, words in (
        (busy, 5, "cannot listen on"),
        (second, 7, "running already"),
        (nowhere, 6, "cannot be used: File exists"),
        (other, 3, "enrolled as gateway, the settings say other"),
    ):
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == code, done.stderr
        assert last.startswith("edge-agent: ")
        assert words in last
        assert "Traceback" not in done.stderr


def test_a_device_that_is_not_enrolled_says_what_to_do(tmp_path):
    config = write_settings(tmp_path)

    bare = command("run", "--config", config)
    wrong = command("run", "--config", config, "--ticket", tmp_path / "none.json")
    full = command("enrol", "--config", config, "--ticket", config, limit=no_space)
    broken = command("run", "--config", tmp_path / "none.toml")

    assert (bare.returncode, wrong.returncode, full.returncode, broken.returncode) == (4, 4, 4, 3)
    assert "edge-sdk devices token" in bare.stderr
    assert "cannot be read" in wrong.stderr
    assert [done.stderr.count("\n") for done in (bare, wrong, full, broken)] == [1, 1, 1, 1]
