"""Labelled samples sent to every device without pause, as an application would: what was right, and what failed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from edge_sdk.emulation.agent import EmulatedAgent
from edge_sdk.errors import SdkError
from edge_sdk.inference import InferenceClient

PAUSE_SECONDS: Final = 0.06
"""Between two requests to a device: some fifteen a second leave the processor to the agents."""


@dataclass(frozen=True)
class Samples:
    """Labelled images: `x` [n, 8, 8, 1] in 0..1, `y` [n]."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]

    def dimmed(self, share: float) -> Samples:
        """The same images as a camera in failing light sees them."""
        return Samples((self.x * np.float32(share)).astype(np.float32), self.y)


def read_samples(path: Path) -> Samples:
    """The samples of an `.npz` with arrays `x` and `y`."""
    with np.load(path) as arrays:
        return Samples(arrays["x"].astype(np.float32), arrays["y"].astype(np.int64))


@dataclass
class Tally:
    """What one device has answered since it first did. `versions` counts answers by release."""

    answered: int = 0
    right: int = 0
    failed: int = 0
    last_error: str = ""
    versions: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Measured:
    """One pass over labelled samples on one device; latencies in milliseconds, as the application sees them."""

    accuracy: float
    p50: float
    p99: float
    version: int
    n: int


def measure(address: str, model: str, samples: Samples) -> Measured:
    """Ask about every sample once, one at a time.

    Raises:
        Rejected, Unreachable: a request was not answered.
    """
    with InferenceClient(address) as client:
        answers = [client.infer(model, row[None]) for row in samples.x]
    right = [int(answer.scores[0].argmax()) == label for answer, label in zip(answers, samples.y, strict=True)]
    milliseconds = [answer.milliseconds for answer in answers]
    p50, p99 = np.quantile(milliseconds, (0.5, 0.99))
    return Measured(float(np.mean(right)), float(p50), float(p99), answers[-1].version, len(right))


class Traffic:
    """A thread for each device; a context manager that ends them."""

    def __init__(self, agents: Sequence[EmulatedAgent], model: str, samples: Samples) -> None:
        self.tallies = {agent.name: Tally() for agent in agents}
        self._model = model
        self._samples = samples
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(agent.name, agent.address), name=f"traffic-{agent.name}")
            for agent in agents
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> int:
        """Requests that were not answered, of all devices, since each answered first."""
        return sum(tally.failed for tally in self.tallies.values())

    @property
    def answered(self) -> int:
        """Requests that were answered, of all devices."""
        return sum(tally.answered for tally in self.tallies.values())

    def switch(self, samples: Samples) -> None:
        """Send these samples from now on."""
        self._samples = samples

    def _send(self, name: str, address: str) -> None:
        tally = self.tallies[name]
        order = np.random.default_rng(list(name.encode()))
        with InferenceClient(address) as client:
            while not self._stopped.wait(PAUSE_SECONDS):
                samples = self._samples
                index = int(order.integers(len(samples.y)))
                try:
                    answer = client.infer(self._model, samples.x[index][None])
                except SdkError as error:
                    if tally.answered:  # before its first release a device has nothing to answer with
                        tally.failed += 1
                        tally.last_error = str(error)
                    continue
                tally.answered += 1
                tally.versions[answer.version] += 1
                tally.right += int(answer.scores[0].argmax()) == samples.y[index]
