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


class BadNetwork(httpx.BaseTransport):
    """HTTP through `inner`, later by `latency_s` seconds, with a share `loss` of requests failing to connect."""

    def __init__(self, inner: httpx.BaseTransport, latency_s: float, loss: float) -> None:
        self._inner = inner
        self._latency_s = latency_s
        self._loss = loss

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of `inner`, if the request is not lost."""
        time.sleep(self._latency_s)
        if _RANDOM.random() < self._loss:
            raise httpx.ConnectError("lost on purpose ([faults] http_loss)", request=request)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close `inner`."""
        self._inner.close()


def bad_network(inner: httpx.BaseTransport, faults: Faults) -> httpx.BaseTransport:
    """`inner` with the latency and loss of the settings; itself if there are none."""
    if not (faults.http_latency_ms or faults.http_loss):
        return inner
    return BadNetwork(inner, faults.http_latency_ms / 1000, faults.http_loss)


def crash_after(seconds: float) -> None:
    """Kill this process, as a power cut would, after `seconds`."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()
