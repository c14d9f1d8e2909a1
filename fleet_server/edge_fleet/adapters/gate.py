"""Keeps revoked devices out of the broker: the revocation list for new connections, the access list for open ones."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from edge_contracts.ids import DeviceId
from edge_fleet.adapters.authority import Authority
from edge_fleet.adapters.broker import Mosquitto
from edge_fleet.adapters.files import write_whole
from edge_fleet.ports import Clock


class BrokerGate:
    """The gatekeeper of a broker that this server runs."""

    def __init__(self, authority: Authority, revoked: Path, broker: Mosquitto, clock: Clock) -> None:
        self._authority = authority
        self._revoked = revoked
        self._broker = broker
        self._clock = clock

    def shut_out(self, devices: tuple[DeviceId, ...], certificates: tuple[tuple[int, datetime], ...]) -> None:
        """From now on exactly these may not come in; those inside are silenced."""
        write_whole(self._revoked, self._authority.revocation_list(certificates, self._clock()))
        self._broker.ban(devices)
