"""Counts of live traffic on one release since it was activated: what the verdict in probation is made from."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np

from edge_agent.core.goldens import quantile_ms
from edge_agent.core.tensors import Array, classes_of
from edge_agent.ports import Release, ServingHealth, Tensors

LATENCIES_KEPT: Final = 512
"""The newest durations, from which the 99th percentile is taken: enough for five above it."""
_DECIMALS: Final = 6


class Tally:
    """Thread-safe; every method is cheap enough to be called for each request."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._lock = threading.Lock()
        self._latencies_ns: deque[int] = deque(maxlen=LATENCIES_KEPT)
        self._requests = self._errors = self._crashes = self._hangs = self._non_finite = 0
        self._answers: set[bytes] = set()
        self._inputs: set[bytes] = set()

    def answered(self, inputs: list[Array], outputs: Tensors, latency_ns: int) -> None:
        """A request was answered after `latency_ns` in the engine."""
        # A sensor that sends NaN gets NaN: the model is not to blame.
        non_finite = not _finite(outputs.values()) and _finite(inputs)
        with self._lock:
            self._requests += 1
            self._non_finite += non_finite
            self._latencies_ns.append(latency_ns)
            if len(self._answers) < 2:
                self._answers.add(self._essence(outputs))
            if len(self._inputs) < 2:
                self._inputs.add(b"".join(array.tobytes() for array in inputs))

    def failed(self) -> None:
        """A valid request was not answered."""
        with self._lock:
            self._errors += 1

    def crashed(self) -> None:
        """The worker ended by itself."""
        with self._lock:
            self._crashes += 1

    def hung(self) -> None:
        """The worker had to be killed because it did not answer."""
        with self._lock:
            self._hangs += 1

    def health(self) -> ServingHealth:
        """The counts so far."""
        with self._lock:
            return ServingHealth(
                requests=self._requests,
                errors=self._errors,
                crashes=self._crashes,
                hangs=self._hangs,
                non_finite=self._non_finite,
                distinct_answers=len(self._answers),
                p99_ms=quantile_ms(self._latencies_ns, 0.99) if self._latencies_ns else None,
                distinct_inputs=len(self._inputs),
            )

    def _essence(self, outputs: Tensors) -> bytes:
        classes = classes_of(self._release, outputs)
        if classes is not None:
            return classes.tobytes()
        return b"".join(np.round(array.astype(np.float64), _DECIMALS).tobytes() for array in outputs.values())


def _finite(arrays: Iterable[Array]) -> bool:
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")
