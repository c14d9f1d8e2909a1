"""The link over a real broker: nothing is lost, nothing is freed without the server's word, strangers are ignored."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.link import Link, Voice, pause
from edge_agent.adapters.mqtt import Endpoint
from edge_agent.adapters.records import RecordKind
from edge_agent.adapters.spool import Spool
from edge_agent.config import Link as LinkSettings
from edge_contracts import codec
from edge_contracts.ids import DeploymentId, ModelName, ProfileName
from edge_contracts.lifecycle import State
from edge_contracts.messages import Birth, Command, CommandName, Desired, Heartbeat
from edge_contracts.topics import COMMAND, DESIRED
from tests.edge_agent.telemetry.fleet import DEVICE, TENANT, Server, eventually
from tests.edge_agent.telemetry.windows_of import window
from tests.support.broker import Broker

pytestmark = pytest.mark.device

QUICK = LinkSettings(reconnect_cap_s=0.3, ack_timeout_s=0.5, will_delay_s=0)


class Device:
    """An agent's link with its spool, and what it was told."""

    def __init__(self, broker: Broker, folder: Path, boot: str = "boot-1", **changes: Any) -> None:
        self.desired: list[Desired] = []
        self.commands: list[Command] = []
        self.spool = Spool(folder / "spool.db", boot, 16 * 1024 * 1024)
        credentials = broker.authority.issue(DEVICE)
        self.link = Link(
            Endpoint(broker.host, broker.port, TENANT, DEVICE, credentials.client_context),
            self.spool,
            changes.pop("settings", QUICK),
            Voice(
                lambda: Birth(boot=boot, at=1.0, profile=ProfileName("p"), agent_version="0", state=State.IDLE),
                lambda: Heartbeat(boot=boot, at=time.time(), state=State.IDLE),
                self.desired.append,
                self.commands.append,
            ),
            heartbeat_s=changes.pop("heartbeat_s", 60.0),
            **changes,
        )
        self.link.start()

    def report(self, count: int = 1) -> None:
        for _ in range(count):
            self.spool.deployment(DeploymentId("d-1"), ModelName("digits"), 2, State.DOWNLOADING)

    def waiting(self) -> int:
        status = self.spool.status()
        return status.events + status.windows

    def connected(self) -> bool:
        return self.link.status().connected

    def close(self) -> None:
        self.link.stop()
        self.spool.close()


@pytest.fixture
def server(broker: Broker) -> Iterator[Server]:
    made = Server(broker)
    yield made
    made.close()


@pytest.fixture
def device(broker: Broker, tmp_path: Path) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(boot: str = "boot-1", **changes: Any) -> Device:
        made.append(Device(broker, tmp_path, boot, **changes))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_device_announces_itself_and_keeps_its_heart_beating(server, device):
    gate = device(heartbeat_s=0.1)

    eventually(lambda: len(server.of("hb")) >= 3)

    assert [birth.profile for birth in server.of("birth")] == ["p"]
    assert gate.link.status().trouble is None


def test_reports_and_windows_arrive_and_are_freed_once_the_server_has_them(server, device):
    gate = device()
    gate.report(3)
    gate.spool.add_window(lambda boot, sequence: window(0.0, boot, sequence))

    eventually(lambda: gate.waiting() == 0)

    assert server.committed == Counter({("boot-1", sequence): 1 for sequence in (1, 2, 3, 4)})
    assert [w.n for w in server.of("tw")] == [8]


def test_what_the_broker_took_but_the_server_did_not_confirm_is_sent_again(server, device):
    server.confirms.clear()
    gate = device()
    gate.report()
    eventually(lambda: server.committed["boot-1", 1] >= 2)
    assert gate.waiting() == 1

    server.confirms.set()

    eventually(lambda: gate.waiting() == 0)


def test_connections_that_broke_leave_no_file_open(server, device):
    def attempts_after(attempts: int) -> bool:
        return gate.connected() and gate.link.status().attempts > attempts

    def broken(times: int) -> int:
        """Open files after the line broke so many times; nothing helps the freeing along."""
        for _ in range(times):
            eventually(gate.connected)
            before = gate.link.status().attempts
            gate.link._current.cut()
            eventually(partial(attempts_after, before))
        return len(list(Path("/proc/self/fd").iterdir()))

    gate = device()
    eventually(gate.connected)
    gc.disable()
    try:
        at_first = broken(2)
        assert broken(6) <= at_first + 2
    finally:
        gc.enable()


def test_a_broker_that_dies_and_comes_back_loses_nothing(server, device, broker):
    gate = device()
    gate.report(20)
    eventually(lambda: len(server.keys()) >= 5)
    broker.kill()
    eventually(lambda: not gate.connected())
    gate.report(20)
    for index in range(10):
        gate.spool.add_window(lambda boot, sequence, i=index: window(i * 900.0, boot, sequence))

    broker.start()

    eventually(lambda: gate.waiting() == 0, timeout_s=20)
    assert server.keys() == {("boot-1", sequence) for sequence in range(1, 51)}
    assert sum(w.n for w in {w.sequence: w for w in server.of("tw")}.values()) == 80


def test_what_was_not_confirmed_before_a_restart_of_the_agent_goes_out_after_it(server, device):
    server.confirms.clear()
    first = device(boot="boot-1")
    first.report(2)
    eventually(lambda: len(server.keys()) == 2)
    first.close()
    server.confirms.set()

    second = device(boot="boot-2")
    second.report()

    eventually(lambda: second.waiting() == 0)
    assert server.keys() == {("boot-1", 1), ("boot-1", 2), ("boot-2", 1)}


def test_without_confirmation_only_so_many_windows_leave_and_the_rest_stays_mergeable(server, device):
    server.confirms.clear()
    gate = device(settings=LinkSettings(ack_timeout_s=60))
    for index in range(60):
        gate.spool.add_window(lambda boot, sequence, i=index: window(i * 900.0, boot, sequence, 1))
    eventually(lambda: len(server.keys()) == 32)

    gate.report()
    eventually(lambda: len(server.keys()) == 33)

    assert len(server.of("tw")) == 32
    assert len(gate.spool.outstanding(RecordKind.WINDOW, 100)) == 60


def test_wishes_and_commands_of_the_server_are_heard(server, device):
    server.send(DESIRED, codec.encode(Desired(counter=7)))
    gate = device()
    eventually(lambda: gate.desired)
    server.send(COMMAND, codec.encode(Command(name=CommandName.CHECK, expires=2e9)))

    eventually(lambda: gate.commands)

    assert (gate.desired[0].counter, gate.commands[0].name) == (7, CommandName.CHECK)


def test_malformed_messages_are_counted_logged_once_and_harm_nothing(server, device, caplog):
    gate = device()
    eventually(lambda: server.of("birth"))
    for payload in (b"", b"\x00", b"\x01junk", b"\x00" + b"\xff" * 400):
        server.send(COMMAND, payload)
    gate.report()

    eventually(lambda: gate.waiting() == 0 and gate.link.status().malformed == 4)

    assert caplog.text.count("thrown away") == 1
    assert gate.commands == []


def test_a_callback_that_fails_does_not_silence_the_device(server, device, caplog):
    gate = device()
    eventually(gate.connected)
    object.__setattr__(gate.link._voice, "on_desired", lambda _: 1 / 0)
    server.send(DESIRED, codec.encode(Desired(counter=1)))
    gate.report()

    eventually(lambda: gate.waiting() == 0)

    assert "could not be handled" in caplog.text


def test_the_others_learn_when_a_device_goes(server, device):
    gate = device()
    eventually(gate.connected)

    gate.close()

    eventually(lambda: server.of("death"))
    assert server.of("death")[0].boot == "boot-1"


def test_an_outage_made_on_purpose_cuts_the_line_and_heals(server, device):
    outage = threading.Event()
    gate = device(outage=outage.is_set)
    eventually(gate.connected)
    outage.set()
    eventually(lambda: server.of("death") and not gate.connected())
    gate.report()

    outage.clear()

    eventually(lambda: gate.waiting() == 0)


def test_without_a_broker_the_agent_says_so_once_and_keeps_trying(broker, device, caplog):
    broker.stop()
    gate = device()
    gate.report()

    eventually(lambda: gate.link.status().attempts >= 4)

    assert caplog.text.count("no connection to the broker") == 1
    assert "Connection refused" in str(gate.link.status().trouble)
    broker.start()
    eventually(gate.connected)
    assert gate.link.status().trouble is None


# paho leaves the socket of a failed handshake to the garbage collector, which closes it and warns.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_of_another_authority_is_not_trusted(broker, tmp_path, device, caplog):
    stranger = Broker(tmp_path / "stranger", type(broker.authority)(tmp_path / "other"), port=broker.port)
    broker.stop()
    stranger.start()
    try:
        gate = device()
        eventually(lambda: gate.link.status().attempts >= 2)
        assert "CERTIFICATE_VERIFY_FAILED" in str(gate.link.status().trouble)
    finally:
        stranger.stop()


def test_pauses_are_random_grow_and_stay_under_the_cap():
    first = [pause(0, 300.0) for _ in range(200)]
    later = [pause(20, 300.0) for _ in range(200)]

    assert max(first) <= 1.0
    assert 150 < max(later) <= 300.0
    assert min(later) < 60


def test_sending_and_hearing_at_the_same_time_keeps_one_connection(server, device):
    gate = device()
    eventually(lambda: server.of("birth"))
    for _ in range(400):
        gate.report()
        server.send_soon(DESIRED, codec.encode(Desired(counter=1)))

    eventually(lambda: gate.waiting() == 0 and len(gate.desired) >= 400, timeout_s=30)

    assert (gate.link.status().attempts, gate.link.status().trouble) == (1, None)
