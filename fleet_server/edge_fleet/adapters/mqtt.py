"""The server's one connection to the broker, by paho: MQTT 5, a durable session, acknowledged only when committed."""

from __future__ import annotations

import logging
import queue
import ssl
import time
from collections.abc import Sequence
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_contracts.codec import encode
from edge_contracts.ids import DeviceId, TenantId
from edge_contracts.topics import TOPICS, Direction, Topic, topic_filter, topic_name
from edge_contracts.wire import Wire
from edge_fleet.errors import Unavailable
from edge_fleet.ports import Incoming

_log = logging.getLogger(__name__)

SEND_SECONDS: Final = 5.0
SESSION_SECONDS: Final = 7 * 86400
"""How long the broker keeps messages for a server that is away."""
UNACKNOWLEDGED: Final = 1000
"""MQTT 5 receive maximum: how many the broker sends ahead of our acknowledgements."""
WAITING: Final = 20_000
"""Messages without acknowledgement (heartbeats) are dropped beyond this many; the next one brings the same news."""
SMALL_BYTES: Final = 16 * 1024
"""And so are larger ones than this: those that wait must not take the server's memory."""


class PahoLink:
    """A context manager: connected, and connecting again by itself, inside the block."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, tenant: TenantId, client_id: str) -> None:
        self._address = (host, port)
        self._tenant = tenant
        self._waiting: queue.Queue[Incoming] = queue.Queue()
        self._connection = 0
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        self._client.tls_set_context(tls)
        self._client.reconnect_delay_set(1, 10)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def __enter__(self) -> PahoLink:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_SECONDS
        properties.ReceiveMaximum = UNACKNOWLEDGED
        self._client.connect_async(*self._address, keepalive=30, clean_start=False, properties=properties)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""
        return self._client.is_connected()

    def send(self, topic: Topic, device: DeviceId, message: Wire) -> None:
        """See `MessageLink.send`."""
        if not self.connected:
            raise _away()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if topic.expiry is not None:
            properties.MessageExpiryInterval = topic.expiry
        name = topic_name(topic, self._tenant, device)
        sent = self._client.publish(name, encode(message), topic.qos, topic.retain, properties)
        try:
            sent.wait_for_publish(SEND_SECONDS)
        except (RuntimeError, ValueError) as error:
            raise _away() from error
        if not sent.is_published():
            raise _away()

    def receive(self, limit: int, timeout: float) -> Sequence[Incoming]:
        """See `MessageLink.receive`."""
        deadline = time.monotonic() + timeout
        messages: list[Incoming] = []
        while len(messages) < limit:
            try:
                wait = 0.0 if messages else max(deadline - time.monotonic(), 0.0)
                messages.append(self._waiting.get(timeout=wait) if wait else self._waiting.get_nowait())
            except queue.Empty:
                break
        return messages

    def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """See `MessageLink.acknowledge`. Packet ids belong to a connection: those of an earlier one are dropped."""
        for message in messages:
            connection, packet, qos = message.receipt
            if qos and connection == self._connection:
                self._client.ack(packet, qos)

    def _on_connect(
        self, client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            _log.warning("the broker refuses the server: %s", code)
            return
        self._connection += 1
        wanted = [topic for topic in TOPICS if topic.direction is Direction.UP]
        result, _ = client.subscribe(
            [(topic_filter(topic, self._tenant), SubscribeOptions(qos=topic.qos)) for topic in wanted]
        )
        if result is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            _log.warning("cannot subscribe: %s", result)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.qos == 0 and (len(message.payload) > SMALL_BYTES or self._waiting.qsize() >= WAITING):
            return
        receipt = (self._connection, message.mid, message.qos)
        self._waiting.put(Incoming(message.topic, bytes(message.payload), message.retain, receipt))


def _away() -> Unavailable:
    return Unavailable("broker-away", "The broker did not take the message", "It is tried again; see the broker's log.")
