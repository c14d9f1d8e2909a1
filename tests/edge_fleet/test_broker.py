"""The server's own Mosquitto: who may say what on it, who is shut out, and that it lives and dies with the server."""

from __future__ import annotations

import os
import queue
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_contracts.assignments import Assignment, Kind
from edge_contracts.codec import decode, encode
from edge_contracts.ids import DeploymentId, DeviceId, VariantName
from edge_contracts.lifecycle import State
from edge_contracts.messages import Birth, Desired, Heartbeat
from edge_contracts.topics import BIRTH, COMMAND, DESIRED, HEARTBEAT, TOPICS, Direction, topic_name
from edge_fleet.adapters.broker import access_list
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.records.releases import AssignmentRow
from tests.edge_fleet.server_case import MODEL, TENANT, Device, Server, initialise, must, serving

NOT_AUTHORISED = 0x87


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait for it, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Voice:
    """A client of the broker that remembers what it was told."""

    def __init__(self, server: Server, tls: ssl.SSLContext, name: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.answers: queue.Queue[int] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set_context(tls)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = lambda c, d, message: self.received.append((message.topic, message.payload))
        self.client.on_publish = lambda c, d, mid, code, properties: self.answers.put(code.value)
        self.client.on_subscribe = lambda c, d, mid, codes, properties: self.answers.put(codes[0].value)
        self.client.connect(server.ready["mqtt_host"], server.ready["mqtt_port"], keepalive=5)
        self.client.loop_start()

    def say(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> int:
        """Publish with an answer; its reason code."""
        self.client.publish(topic, payload, qos=1, retain=retain)
        return self.answers.get(timeout=10)

    def listen(self, topic: str) -> int:
        self.client.subscribe(topic, 1)
        return self.answers.get(timeout=10)


@contextmanager
def voice(server: Server, device: Device) -> Iterator[Voice]:
    one = Voice(server, device.tls(server), "any-name")
    try:
        until(one.client.is_connected)
        yield one
    finally:
        one.client.disconnect()
        one.client.loop_stop()


def enrolled(server: Server) -> Device:
    device = Device()
    device.enrol(server)
    return device


def own(device: Device, suffix: str) -> str:
    return f"ef/v1/{TENANT}/{device.id}/{suffix}"


def test_a_device_says_what_it_may_and_the_server_hears_it(server: Server) -> None:
    device = enrolled(server)
    birth = Birth(boot="b1", at=time.time(), profile=device.profile, agent_version="1.0", state=State.IDLE)
    with voice(server, device) as one, server.operator() as operator:
        assert one.say(topic_name(BIRTH, TENANT, device.id), encode(birth), retain=True) == 0
        until(lambda: operator.get(f"/v1/devices/{device.id}").json()["status"] == "online")


def test_a_device_may_write_only_its_own_up_topics(server: Server) -> None:
    device, other = enrolled(server), enrolled(server)
    with voice(server, device) as one:
        for topic in TOPICS:
            allowed = topic.direction is Direction.UP
            payload = encode(Heartbeat(boot="b", at=0.0, state=State.IDLE))
            assert (one.say(own(device, topic.suffix), payload) != NOT_AUTHORISED) is allowed, topic.suffix
            assert one.say(own(other, topic.suffix), payload) == NOT_AUTHORISED
        assert one.say(f"ef/v1/another-tenant/{device.id}/hb") == NOT_AUTHORISED
        assert one.say("anything") == NOT_AUTHORISED


def test_a_device_hears_only_its_own_down_topics(server: Server) -> None:
    device, other = enrolled(server), enrolled(server)
    with voice(server, device) as one, voice(server, other) as spy:
        one.listen(own(device, DESIRED.suffix))
        spy.listen(own(device, DESIRED.suffix))
        spy.listen("#")
        spy.listen(own(other, DESIRED.suffix))
        for target in (device, other):
            assign(server, target.id)
        until(lambda: one.received)
        until(lambda: spy.received)
        assert one.say(own(device, HEARTBEAT.suffix)) == 0
        time.sleep(0.3)
    assert {topic for topic, _ in one.received} == {own(device, "desired")}
    assert {topic for topic, _ in spy.received} == {own(other, "desired")}
    assert decode(Desired, one.received[0][1]).counter == 7


def assign(server: Server, device: DeviceId) -> None:
    """An assignment in the server's database, as a rollout makes it; the server announces it."""
    now = datetime.now(UTC)
    statement = Assignment(
        tenant=TENANT,
        device=device,
        deployment=DeploymentId("d-1"),
        kind=Kind.REVERT,
        model=MODEL,
        version=1,
        variant=VariantName("any"),
        counter=7,
        nonce="0" * 16,
        issued=now,
        expires=now + timedelta(days=1),
    )
    database = Database(sqlite_url(server.folder / "fleet.sqlite"))
    with database.write() as session:
        row = AssignmentRow(device=device, deployment=statement.deployment, counter=7, statement=statement)
        session.add(row)
    database.close()


def test_one_device_cannot_take_over_anothers_session_by_its_client_name(server: Server) -> None:
    device, other = enrolled(server), enrolled(server)
    with voice(server, device) as one, voice(server, other) as two:
        time.sleep(0.3)
        assert one.client.is_connected()
        assert two.client.is_connected()
        assert one.say(own(device, HEARTBEAT.suffix)) == 0
        assert two.say(own(other, HEARTBEAT.suffix)) == 0


def turned_away(server: Server, tls: ssl.SSLContext) -> bool:
    """Whether the broker closes the connection instead of answering a CONNECT."""
    connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
    host = server.ready["mqtt_host"]
    with socket.create_connection((host, server.ready["mqtt_port"]), 10) as plain:
        try:
            with tls.wrap_socket(plain, server_hostname=host) as secure:
                secure.sendall(connect)
                return secure.recv(4) == b""
        except OSError:
            return True


def test_nobody_connects_without_a_certificate(server: Server) -> None:
    assert turned_away(server, ssl.create_default_context(cafile=str(server.authority)))
    assert not turned_away(server, enrolled(server).tls(server))


def test_a_revoked_device_is_silenced_at_once_and_cannot_come_back(server: Server) -> None:
    device, other = enrolled(server), enrolled(server)
    with voice(server, device) as one, voice(server, other) as two, server.operator() as operator:
        one.listen(own(device, COMMAND.suffix))
        assert one.say(own(device, HEARTBEAT.suffix)) == 0
        must(operator.post(f"/v1/devices/{device.id}/revoke"))
        until(lambda: one.say(own(device, HEARTBEAT.suffix)) == NOT_AUTHORISED)
        assert two.say(own(other, HEARTBEAT.suffix)) == 0
    assert turned_away(server, device.tls(server))


def test_the_access_list_is_made_from_the_table_of_topics() -> None:
    lines = access_list(TENANT, (DeviceId("thief"),)).splitlines()
    assert "pattern write ef/v1/default/%u/hb" in lines
    assert "pattern read ef/v1/default/%u/desired" in lines
    assert len([line for line in lines if line.startswith("pattern")]) == len(TOPICS)
    assert lines[lines.index("user thief") + 1] == "topic deny #"


def connected(server: Server) -> bool:
    with server.operator() as operator:
        return bool(operator.get("/v1/health").json()["broker_connected"])


def test_a_dead_broker_is_started_again_and_a_dead_server_leaves_none_behind(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    admin = initialise(folder)
    with serving(folder, admin) as server:
        device = enrolled(server)
        (first,) = server.broker_pids()
        os.kill(first, signal.SIGKILL)
        until(lambda: server.broker_pids() not in ([], [first]))
        until(lambda: connected(server))
        with voice(server, device) as one:
            assert one.say(own(device, HEARTBEAT.suffix)) == 0
        (second,) = server.broker_pids()
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not Path(f"/proc/{second}").exists())
    with serving(folder, admin) as server:
        until(lambda: connected(server))
        (third,) = server.broker_pids()
    assert not Path(f"/proc/{third}").exists(), "a server that stops in order stops its broker"
