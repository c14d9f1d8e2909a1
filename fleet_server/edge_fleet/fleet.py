"""The server's parts as one frozen value: made by the composition root, handed to doors and background services."""

from __future__ import annotations

from dataclasses import dataclass

from edge_fleet.ports import Clock, MessageLink, Transactions
from edge_fleet.services.assignments import Assignments
from edge_fleet.services.changes import Changes
from edge_fleet.settings import Settings


@dataclass(frozen=True)
class Addresses:
    """Where the server is reached, with the ports that were really taken."""

    operator_url: str
    device_url: str
    mqtt_host: str
    mqtt_port: int


@dataclass(frozen=True)
class Fleet:
    """What a request or a background service may use."""

    settings: Settings
    addresses: Addresses
    database: Transactions
    clock: Clock
    changes: Changes
    link: MessageLink
    assignments: Assignments
