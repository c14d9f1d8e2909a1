"""Where the server is reached, with the ports that were really taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Addresses:
    """What operators and devices are told."""

    operator_url: str
    device_url: str
    mqtt_host: str
    mqtt_port: int
