"""Runs the background services, each in its own thread, and starts one again when it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Final

from edge_fleet.ports import Background

_log = logging.getLogger(__name__)
PAUSE_AFTER_FAILURE_SECONDS: Final = 2.0


class BackgroundServices:
    """A context manager: the services run inside the block."""

    def __init__(self, services: Iterable[Background]) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_running, args=(service,), name=service.name, daemon=True)
            for service in services
        ]

    def __enter__(self) -> BackgroundServices:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _keep_running(self, service: Background) -> None:
        while not self._stop.is_set():
            try:
                service.run(self._stop)
            except Exception:  # noqa: BLE001 - the top of a loop that must survive; logged, then tried again
                _log.exception("the service %s failed and starts again", service.name)
                self._stop.wait(PAUSE_AFTER_FAILURE_SECONDS)
