"""The other side of the link for tests: hears every device over a real broker and confirms what it has taken."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge_contracts import codec
from edge_contracts.ids import DeviceId, TenantId
from edge_contracts.messages import Ack
from edge_contracts.topics import ACK, ROOT, Direction, Topic, parse_topic, topic_name
from tests.support.broker import Broker

TENANT, DEVICE = TenantId("default"), DeviceId("gate-1")


def eventually(holds: Callable[[], object], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Server:
    """The other side: hears every device, and confirms what it has taken as long as `confirms` is set."""

    def __init__(self, broker: Broker, tenant: TenantId = TENANT, device: DeviceId = DEVICE) -> None:
        self._tenant, self._device = tenant, device
        self.heard: list[tuple[str, Any]] = []
        self.committed: Counter[tuple[str, int]] = Counter()
        self.confirms = threading.Event()
        self.confirms.set()
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="server", protocol=mqtt.MQTTv5)
        self._client.tls_set_context(broker.server().client_context())
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._hear
        self._client.connect(broker.host, broker.port, clean_start=False)
        self._client.loop_start()
        assert self._ready.wait(5)

    def of(self, suffix: str) -> list[Any]:
        """What was heard under `suffix`; a record that came twice counts once, by its key, as the fleet server does."""
        heard = [message for name, message in self.heard if name == suffix]
        if suffix not in {"ev", "tw"}:
            return heard
        return list({(message.boot, message.sequence): message for message in heard}.values())

    def keys(self) -> set[tuple[str, int]]:
        return set(self.committed)

    def send_soon(self, topic: Topic, payload: bytes) -> mqtt.MQTTMessageInfo:
        name = topic_name(topic, self._tenant, self._device)
        return self._client.publish(name, payload, qos=topic.qos, retain=topic.retain)

    def send(self, topic: Topic, payload: bytes) -> None:
        self.send_soon(topic, payload).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, client: mqtt.Client, _data: Any, raw: mqtt.MQTTMessage) -> None:
        topic, tenant, device = parse_topic(raw.topic)
        if topic.direction is Direction.DOWN or not raw.payload:
            return
        message = codec.decode(topic.message, bytes(raw.payload))
        self.heard.append((topic.suffix, message))
        if topic.suffix in {"ev", "tw"}:
            self.committed[message.boot, message.sequence] += 1
            if self.confirms.is_set():
                ack = Ack(boot=message.boot, sequences=(message.sequence,))
                client.publish(topic_name(ACK, tenant, device), codec.encode(ack), qos=1)
