"""Watches live requests and makes telemetry windows of them in a thread of its own. Never delays an answer."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

from edge_agent.core.windows import Observed, WindowBuilder
from edge_agent.ports import Answer, Observer, Release, Tensors
from edge_contracts.window import Clock, Health, TelemetryWindow

LOG: Final = logging.getLogger(__name__)

MAX_HELD_BYTES: Final = 8 * 1024 * 1024
"""Tensors waiting to be looked at; beyond it a request is counted without its features."""
MAX_WAITING: Final = 65_536
"""Requests waiting to be counted; beyond it they are lost, and the loss is counted."""
BATCH_PAUSE_S: Final = 0.05
"""How long to gather requests before counting them together."""


class WindowStore(Protocol):
    """Takes finished windows."""

    def add_window(self, make: Callable[[str, int], TelemetryWindow]) -> None:
        """Store the window that `make(boot, sequence)` returns. Never raises for want of space."""


@dataclass(frozen=True)
class _Request:
    release: Release
    observed: Observed | None
    """None: it failed."""
    held_bytes: int


class WindowObserver(Observer):
    """Counts requests into a window and closes it after `window_s` seconds, on another release, or on `flush`.

    A window begins with its first request; without requests there is none. `health` is asked once for each window.
    """

    def __init__(
        self,
        store: WindowStore,
        window_s: float,
        health: Callable[[], Health],
        now: Callable[[], tuple[float, Clock]] = lambda: (time.time(), Clock.SYNCHRONISED),
    ) -> None:
        self._store = store
        self._window_s = window_s
        self._health = health
        self._now = now
        self._waiting: deque[_Request] = deque()
        self._held_bytes = 0
        self._lost = 0
        self._answered = 0
        self._condition = threading.Condition()
        self._flushes: list[threading.Event] = []
        self._closing = False
        self._builder: WindowBuilder | None = None
        self._closes_at = 0.0
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Requests that were not even counted, since the start."""
        return self._lost

    @property
    def inferences(self) -> int:
        """Answered requests counted since the start."""
        return self._answered

    def answered(self, inputs: Tensors, answer: Answer) -> None:
        """Note an answered request; the arrays must not be changed afterwards."""
        samples = next((len(array) for array in inputs.values() if array.ndim), 1)
        size = sum(array.nbytes for tensors in (inputs, answer.outputs) for array in tensors.values())
        if self._held_bytes + size > MAX_HELD_BYTES:
            self._put(_Request(answer.release, Observed(samples, answer.latency_us, None), 0))
        else:
            observed = Observed(samples, answer.latency_us, (inputs, answer.outputs))
            self._put(_Request(answer.release, observed, size))

    def failed(self, release: Release, error: Exception) -> None:
        """Note a valid request that was not answered."""
        self._put(_Request(release, None, 0))

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Close the window under way and store it; False if that took longer than `timeout_s` seconds."""
        done = threading.Event()
        with self._condition:
            self._flushes.append(done)
            self._condition.notify()
        return done.wait(timeout_s)

    def close(self) -> None:
        """Store what was counted and end the thread. Idempotent."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(10)

    def _put(self, request: _Request) -> None:
        with self._condition:
            if len(self._waiting) >= MAX_WAITING or self._closing:
                self._lost += 1
                return
            self._answered += request.observed is not None
            self._waiting.append(request)
            self._held_bytes += request.held_bytes
            if len(self._waiting) == 1:
                self._condition.notify()

    def _run(self) -> None:
        while True:
            requests, flushes, closing = self._take()
            try:
                self._count(requests)
                if flushes or closing or (self._builder is not None and time.monotonic() >= self._closes_at):
                    self._close_window()
            except Exception:  # telemetry must never end; what it could not count is lost and said so
                LOG.exception("telemetry: %d requests could not be counted", len(requests))
                self._lost += len(requests)
                self._builder = None
            for done in flushes:
                done.set()
            if closing:
                return

    def _take(self) -> tuple[list[_Request], list[threading.Event], bool]:
        """Wait for requests, the end of the window, a flush or the end of the agent."""
        with self._condition:
            while not (self._waiting or self._flushes or self._closing):
                pause = None if self._builder is None else self._closes_at - time.monotonic()
                if pause is not None and pause <= 0:
                    break
                self._condition.wait(pause)
            if not (self._flushes or self._closing):
                self._condition.wait(BATCH_PAUSE_S)
            requests, flushes = list(self._waiting), self._flushes
            self._waiting.clear()
            self._held_bytes = 0
            self._flushes = []
            return requests, flushes, self._closing

    def _count(self, requests: list[_Request]) -> None:
        for _, of_release in groupby(requests, key=lambda request: id(request.release)):
            group = list(of_release)
            builder = self._builder_for(group[0].release)
            builder.add([request.observed for request in group if request.observed is not None])
            for request in group:
                if request.observed is None:
                    builder.fail()

    def _builder_for(self, release: Release) -> WindowBuilder:
        builder = self._builder
        if builder is not None and _identity(builder.release) == _identity(release):
            return builder
        self._close_window()
        self._builder = WindowBuilder(release, self._now()[0])
        self._closes_at = time.monotonic() + self._window_s
        return self._builder

    def _close_window(self) -> None:
        builder, self._builder = self._builder, None
        if builder is None or builder.empty:
            return
        end, clock = self._now()
        health = self._health()
        self._store.add_window(lambda boot, sequence: builder.close(end, clock, health, boot, sequence))


def _identity(release: Release) -> tuple[object, ...]:
    manifest = release.manifest
    return manifest.model, manifest.version, release.variant.name, release.variant.model.digest
