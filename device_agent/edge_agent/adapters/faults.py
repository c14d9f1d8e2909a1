"""Trouble made on purpose, for emulated devices: only what the `[faults]` table of the settings switches on."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

import httpx

from edge_agent.config import Faults

_RANDOM: Final = secrets.SystemRandom()


class LinkOutage:
    """The broker is out of reach for `down_s` seconds at the end of every `every_s` seconds."""

    def __init__(self, down_s: float, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._down_s = down_s
        self._every_s = every_s
        self._clock = clock
        self._start = clock()

    def __call__(self) -> bool:
        """Whether it is out of reach now."""
        return (self._clock() - self._start) % self._every_s >= self._every_s - self._down_s


def link_outage(faults: Faults) -> Callable[[], bool] | None:
    """Says whether the broker is made unreachable now; None if it never is."""
    return LinkOutage(faults.link_down_s, faults.link_every_s) if faults.link_down_s else None


def bad_network(faults: Faults) -> Callable[[httpx.Request], None] | None:
    """Makes each HTTP request later, and lets a share of them fail to connect; None if neither is wanted."""
    if not (faults.http_latency_ms or faults.http_loss):
        return None

    def trouble(request: httpx.Request) -> None:
        time.sleep(faults.http_latency_ms / 1000)
        if _RANDOM.random() < faults.http_loss:
            raise httpx.ConnectError("lost on purpose ([faults] http_loss)", request=request)

    return trouble


def crash_after(seconds: float) -> None:
    """Kill this process, as a power cut would, after `seconds`."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()
