"""The device's state as the operating system tells it: memory, temperature, time. Missing sensors are no errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

from edge_agent.ports import Serving
from edge_contracts.window import Health

THERMAL: Final = Path("/sys/class/thermal")


def rss_bytes() -> int:
    """Memory in use by the agent and its model processes."""
    own = psutil.Process(os.getpid())
    total = 0
    for process in (own, *own.children()):
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def temperature_c() -> float | None:
    """The hottest sensor of the processor in degrees Celsius; None without sensors."""
    found = []
    for sensor in THERMAL.glob("thermal_zone*/temp"):
        try:
            found.append(int(sensor.read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):
            continue
    return max(found, default=None)


class Vitals:
    """The health that goes into a window: each crash of a model's process is told once."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._restarts_told = 0

    def take(self) -> Health:
        """The health now; restarts are those since the last call."""
        health, selftest = self._serving.health(), self._serving.active_selftest()
        restarts = health.crashes + health.hangs
        new = restarts - self._restarts_told if restarts >= self._restarts_told else restarts
        self._restarts_told = restarts
        return Health(
            rss_bytes=rss_bytes(),
            worker_restarts=new,
            temperature_c=temperature_c(),
            fallback=selftest is not None and selftest.fallback,
        )
