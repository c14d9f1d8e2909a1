"""Real workers running real models; every process is gone after each test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import psutil
import pytest

from edge_agent.adapters.generation import QueueLimits
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.worker_process import WorkerSettings
from edge_agent.ports import Answer, Observer, Release, Tensors
from tests.support.releases import MODEL, release, samples


@dataclass
class Recorder(Observer):
    """Keeps what an observer is told."""

    answers: list[Answer] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def answered(self, inputs: Tensors, answer: Answer) -> None:
        self.answers.append(answer)

    def failed(self, release: Release, error: Exception) -> None:
        self.failures.append(error)


Serve = Callable[..., ProcessServing]


def image(number: int = 0) -> Tensors:
    """One of the 64 labelled samples as a request."""
    return {"image": samples()[0][number : number + 1]}


def ask(serving: ProcessServing, number: int = 0) -> int:
    """The digit the active model sees in a sample."""
    return int(serving.infer(MODEL, None, image(number)).outputs["digit"].argmax())


def accuracy(serving: ProcessServing) -> float:
    """The share of the 64 samples the active model gets right."""
    return float(np.mean([ask(serving, number) == digit for number, digit in enumerate(samples()[1])]))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Makes a serving; given a kind or a release, that is active at once."""
    made: list[ProcessServing] = []
    before = _workers()

    def make(
        active: str | Release | None = None,
        observer: Observer | None = None,
        queue: QueueLimits | None = None,
        **workers: object,
    ) -> ProcessServing:
        settings = WorkerSettings(**workers)  # type: ignore[arg-type]
        serving = ProcessServing([observer] if observer else [], settings, queue)
        made.append(serving)
        if active is not None:
            serving.prepare(release(active) if isinstance(active, str) else active)
            serving.activate()
        return serving

    yield make
    for serving in made:
        serving.close()
    assert _workers() <= before


def _workers() -> set[int]:
    """Processes and threads that serving has started."""
    processes = {child.pid for child in psutil.Process().children() if "edge_agent.worker" in child.cmdline()}
    threads = {thread.ident or 0 for thread in threading.enumerate() if thread.name in {"retire", "worker-guard"}}
    return processes | threads
