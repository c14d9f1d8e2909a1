"""Tells whoever listens that something changed ("devices", "rollouts", ...). Says what kind, never what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

Kind = Literal["devices", "releases", "rollouts", "telemetry", "alerts", "audit"]
Listener = Callable[[Kind], object]


class Changes:
    """A list of listeners, called in the thread of whoever notifies: a listener must return at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def notify(self, *kinds: Kind) -> None:
        """Call after the commit."""
        for listener in self._listeners:
            for kind in kinds:
                listener(kind)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """From now on `listener` is told; the returned function ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return end
