"""The MQTT topics: one table gives each message its topic, direction, quality of service, retain flag and expiry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge_contracts.errors import Malformed
from edge_contracts.ids import DeviceId, InvalidId, TenantId
from edge_contracts.messages import Ack, Birth, Command, Death, DeploymentReport, Desired, Heartbeat
from edge_contracts.window import TelemetryWindow
from edge_contracts.wire import Wire

ROOT: Final = "ef/v1"


class Direction(StrEnum):
    """Who publishes."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Topic:
    """One row: `suffix` follows `ef/v1/{tenant}/{device}/`; `expiry` is MQTT 5's, in seconds, None for never."""

    suffix: str
    message: type[Wire]
    direction: Direction
    qos: int
    retain: bool
    expiry: int | None


BIRTH: Final = Topic("birth", Birth, Direction.UP, 1, True, None)
DEATH: Final = Topic("death", Death, Direction.UP, 1, False, None)
HEARTBEAT: Final = Topic("hb", Heartbeat, Direction.UP, 0, False, 300)
EVENT: Final = Topic("ev", DeploymentReport, Direction.UP, 1, False, None)
WINDOW: Final = Topic("tw", TelemetryWindow, Direction.UP, 1, False, None)
DESIRED: Final = Topic("desired", Desired, Direction.DOWN, 1, True, None)
COMMAND: Final = Topic("cmd", Command, Direction.DOWN, 1, False, 3600)
ACK: Final = Topic("ack", Ack, Direction.DOWN, 1, False, 3600)

TOPICS: Final[tuple[Topic, ...]] = (BIRTH, DEATH, HEARTBEAT, EVENT, WINDOW, DESIRED, COMMAND, ACK)
_BY_SUFFIX: Final = {topic.suffix: topic for topic in TOPICS}


def topic_name(topic: Topic, tenant: TenantId, device: DeviceId) -> str:
    """The full name to publish on."""
    return f"{ROOT}/{tenant}/{device}/{topic.suffix}"


def topic_filter(topic: Topic, tenant: str = "+") -> str:
    """The subscription that matches this message of all devices (of a tenant)."""
    return f"{ROOT}/{tenant}/+/{topic.suffix}"


def parse_topic(name: str) -> tuple[Topic, TenantId, DeviceId]:
    """The row, tenant and device of a full topic name.

    Raises:
        Malformed: not a name of the table.
    """
    parts = name.split("/")
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT or parts[4] not in _BY_SUFFIX:
        raise Malformed(f"unknown topic {name[:120]!r}")
    try:
        return _BY_SUFFIX[parts[4]], TenantId(parts[2]), DeviceId(parts[3])
    except InvalidId as error:
        raise Malformed(str(error)) from error
