"""One connection to the broker, from its beginning to its end. Knows MQTT and TLS, not what is sent or when.

MQTT 5 (OASIS standard, 2019) by paho, whose callbacks run in its own thread and only pass things on.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.ports import Unreachable
from edge_contracts.ids import DeviceId, TenantId
from edge_contracts.topics import DEATH, Topic, topic_name

INFLIGHT: Final = 20
"""Publications the broker may have yet to confirm: paho is fastest at 20."""
SESSION_S: Final = 3600
"""How long the broker keeps commands for an absent device."""
CONNECT_TIMEOUT_S: Final = 10.0
CHECK_S: Final = 15.0
"""How often to look whether a connection whose end was not told is still there."""


@dataclass(frozen=True)
class Endpoint:
    """Where the broker is and who we are; `tls` is asked anew for each connection."""

    host: str
    port: int
    tenant: TenantId
    device: DeviceId
    tls: Callable[[], ssl.SSLContext]


@dataclass(frozen=True)
class Callbacks:
    """What the connection reports, from paho's thread; all must return at once."""

    opened: Callable[[Connection], None]
    heard: Callable[[str, bytes], None]
    """Full topic name and payload."""


class Connection:
    """A connection for one use: make it, `run` it, forget it. `publish`, `leave` and `cut` may come from any thread."""

    def __init__(self, endpoint: Endpoint, death: bytes, keepalive_s: int, will_delay_s: int, calls: Callbacks) -> None:
        self._endpoint = endpoint
        self._keepalive_s = keepalive_s
        self._calls = calls
        self._trouble = ""
        self._ended = threading.Event()
        self._leaving = False
        self.accepted = False
        """Whether the broker has taken us."""
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{endpoint.tenant}/{endpoint.device}",
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.tls_set_context(endpoint.tls())
        client.max_inflight_messages_set(INFLIGHT)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.will_set(
            topic_name(DEATH, endpoint.tenant, endpoint.device),
            death,
            qos=DEATH.qos,
            retain=DEATH.retain,
            properties=_properties(PacketTypes.WILLMESSAGE, WillDelayInterval=will_delay_s),
        )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

    def run(self) -> None:
        """Connect and stay until `leave`.

        Raises:
            Unreachable: the broker is not there, refuses us, or the connection broke.
        """
        endpoint = self._endpoint
        place = f"{endpoint.host}:{endpoint.port}"
        session = _properties(PacketTypes.CONNECT, SessionExpiryInterval=SESSION_S)
        try:
            self._client.connect(
                endpoint.host, endpoint.port, keepalive=self._keepalive_s, clean_start=False, properties=session
            )
        except (OSError, ValueError) as error:  # ValueError: an address that cannot be one
            self._let_go()
            raise Unreachable(f"no connection to the broker at {place}: {error}") from error
        # `loop_forever` in our own thread will not do: publishing would then write from the caller's thread while the
        # loop reads, which TLS in Python does not bear, and the broker would see a broken record.
        self._client.loop_start()
        if self._leaving:
            self._say_goodbye()
        try:
            while not self._ended.wait(CHECK_S) and self._client.is_connected():
                continue
        finally:
            self._client.loop_stop()
            self._let_go()
        if self._trouble:
            raise Unreachable(f"the broker at {place}: {self._trouble}")

    def subscribe(self, topics: Iterable[Topic]) -> None:
        """Ask for our own messages of these topics."""
        self._client.subscribe([(self._name(topic), SubscribeOptions(qos=topic.qos)) for topic in topics])

    def publish(self, topic: Topic, body: bytes) -> None:
        """Send; nothing happens when the connection is gone."""
        expiry = {} if topic.expiry is None else {"MessageExpiryInterval": topic.expiry}
        properties = _properties(PacketTypes.PUBLISH, **expiry)
        self._client.publish(self._name(topic), body, qos=topic.qos, retain=topic.retain, properties=properties)

    def leave(self) -> None:
        """End it in good order, or do not begin; the broker tells the others by our will."""
        self._leaving = True
        self._say_goodbye()

    def _let_go(self) -> None:
        """Paho closes its sockets when it is freed. That must not wait for the collector of reference cycles, which on
        a quiet device may not come for days of reconnecting."""
        self._client.on_connect = self._client.on_disconnect = self._client.on_message = None

    def _say_goodbye(self) -> None:
        self._client.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))

    def cut(self) -> None:
        """End it as a broken line does."""
        line = self._client.socket()
        if isinstance(line, socket.socket):
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _name(self, topic: Topic) -> str:
        return topic_name(topic, self._endpoint.tenant, self._endpoint.device)

    def _on_connect(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._trouble = f"it refuses this device ({code})"
            return
        self.accepted = True
        self._calls.opened(self)

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._trouble = self._trouble or f"the connection ended ({code})"
        self._ended.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._calls.heard(message.topic, bytes(message.payload))


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
