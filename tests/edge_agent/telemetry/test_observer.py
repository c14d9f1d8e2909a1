"""The observer makes windows of live requests, by time, by release and on demand, and never delays or breaks them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_agent.adapters import observer as observing
from edge_agent.adapters.observer import WindowObserver
from edge_contracts.window import Health, TelemetryWindow
from tests.edge_agent.telemetry.windows_of import INPUT, answer
from tests.support import releases


class Windows:
    """Keeps finished windows."""

    def __init__(self) -> None:
        self.all: list[TelemetryWindow] = []
        self.arrived = threading.Semaphore(0)

    def add_window(self, make: Callable[[str, int], TelemetryWindow]) -> None:
        self.all.append(make("boot-1", len(self.all) + 1))
        self.arrived.release()


@pytest.fixture
def windows() -> Windows:
    return Windows()


@pytest.fixture
def watch(windows: Windows) -> Iterator[Callable[[float], WindowObserver]]:
    made: list[WindowObserver] = []

    def make(window_s: float) -> WindowObserver:
        made.append(WindowObserver(windows, window_s, lambda: Health(rss_bytes=7)))
        return made[-1]

    yield make
    for observer in made:
        observer.close()


def test_a_window_closes_when_its_time_is_over(watch, windows):
    observer = watch(0.2)
    for index in range(10):
        observer.answered(*answer(slice(index, index + 1)))

    assert windows.arrived.acquire(timeout=5)

    (window,) = windows.all
    assert (window.n, window.errors, window.health.rss_bytes) == (10, 0, 7)
    assert 0.15 <= window.end - window.start <= 2


def test_without_requests_there_is_no_window(watch, windows):
    observer = watch(0.01)

    assert observer.flush()

    assert windows.all == []


def test_another_release_begins_another_window(watch, windows):
    observer = watch(900)
    newer = releases.release("cpu-ort", version=2)
    observer.answered(*answer(slice(0, 3)))
    observer.answered(*answer(slice(0, 1), newer))
    observer.failed(newer, RuntimeError("worker gone"))

    observer.flush()

    assert [(w.version, w.n, w.errors) for w in windows.all] == [(1, 3, 0), (2, 1, 1)]


def test_the_last_window_is_kept_when_the_agent_ends(watch, windows):
    observer = watch(900)
    observer.answered(*answer(slice(0, 5)))

    observer.close()

    assert [w.n for w in windows.all] == [5]


def test_under_overload_requests_are_counted_without_their_features(watch, windows, monkeypatch):
    inputs, given = answer(slice(0, 64))
    monkeypatch.setattr(observing, "MAX_HELD_BYTES", inputs[INPUT].nbytes * 2)
    monkeypatch.setattr(observing, "BATCH_PAUSE_S", 0.3)
    observer = watch(900)
    for _ in range(10):
        observer.answered(inputs, given)

    observer.flush()

    (window,) = windows.all
    level = window.features["image.mean"]
    assert (window.n, sum(window.latency), observer.lost) == (640, 10, 0)
    assert level.missing + sum(level.counts) == 640
    assert level.missing >= 64 * 8


def test_an_answer_that_cannot_be_counted_costs_its_window_and_nothing_else(watch, windows, caplog):
    observer = watch(900)
    _, given = answer(slice(0, 1))
    observer.answered({"other": np.zeros((1, 3))}, given)
    observer.flush()
    assert (observer.lost, windows.all) == (1, [])
    assert "could not be counted" in caplog.text

    observer.answered(*answer(slice(0, 2)))
    observer.flush()

    assert [w.n for w in windows.all] == [2]


def test_observing_from_many_threads_counts_each_request_once_and_is_quick(watch, windows):
    observer = watch(900)
    inputs, given = answer(slice(0, 1))
    slowest = []

    def ask() -> None:
        for _ in range(500):
            start = time.perf_counter()
            observer.answered(inputs, given)
            slowest.append(time.perf_counter() - start)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    observer.flush()

    assert sum(w.n for w in windows.all) == observer.inferences == 2000
    assert sorted(slowest)[len(slowest) // 2] < 0.001
