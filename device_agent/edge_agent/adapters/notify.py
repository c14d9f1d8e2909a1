"""Tells systemd that the daemon is ready and alive (sd_notify(3)); does nothing where no systemd asks."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Final

LOG: Final = logging.getLogger(__name__)


class Notifier:
    """Speaks the protocol of `NOTIFY_SOCKET`; `watchdog_s` is how often a sign of life is due, None if never."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 2e6 if microseconds.isdigit() else None

    def ready(self) -> None:
        """The daemon serves."""
        self._tell("READY=1")

    def alive(self) -> None:
        """The watchdog is to start anew."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The daemon ends on purpose."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.sendto(message.encode(), self._address)
        except OSError as error:
            LOG.warning("systemd cannot be told %s: %s", message, error)
