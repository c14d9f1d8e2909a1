"""Keeps the repository's online signatures fresh while nobody publishes."""

from __future__ import annotations

import threading

from edge_fleet.services.repository import SignedRepository


class Renewal:
    """A background service: looks often enough that a signature is renewed long before it expires."""

    name = "renewal"

    def __init__(self, repository: SignedRepository, timestamp_seconds: float) -> None:
        self._repository = repository
        self._pause = min(timestamp_seconds / 10, 60.0)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        while not stop.wait(self._pause):
            self._repository.renew()
