"""A telemetry window in the making: answered requests become counts. Keeps no input and no output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.core.tensors import Array, is_real, to_real
from edge_agent.ports import Release, Tensors
from edge_contracts.features import bin_indices, compute, confidence_counts, top_classes
from edge_contracts.manifest import BINS, CONFIDENCE_BINS, FeatureBaseline
from edge_contracts.window import LATENCY_BINS, Clock, FeatureCounts, Health, TelemetryWindow, latency_bin


@dataclass(frozen=True)
class Observed:
    """One answered request of `samples` samples. `tensors` is None when there was no room to look at them."""

    samples: int
    latency_us: float
    tensors: tuple[Tensors, Tensors] | None
    """Inputs and outputs, samples first."""


def real_inputs(release: Release, inputs: Tensors) -> dict[str, Array]:
    """A request's inputs as real values before preprocessing: what the baseline's features are computed from."""
    preprocessing = release.manifest.preprocessing
    return {
        spec.name: inputs[spec.name]
        if is_real(spec, inputs[spec.name])
        else to_real(spec, inputs[spec.name]) / np.float32(preprocessing.scale) + np.float32(preprocessing.offset)
        for spec in release.variant.inputs
    }


class _FeatureTally:
    """The counts of one feature so far."""

    def __init__(self, baseline: FeatureBaseline) -> None:
        self._baseline = baseline
        self._counts = np.zeros(BINS, np.int64)
        self._missing = self._non_finite = self._out_of_range = 0
        self._total = self._squares = 0.0

    @property
    def tensor(self) -> str:
        return self._baseline.tensor

    def skip(self, samples: int) -> None:
        self._missing += samples

    def add(self, batch: Array) -> None:
        with np.errstate(all="ignore"):
            values = compute(self._baseline, batch)
        finite = values[np.isfinite(values)]
        self._non_finite += len(values) - len(finite)
        self._out_of_range += int(((finite < self._baseline.low) | (finite > self._baseline.high)).sum())
        self._total += float(finite.sum())
        self._squares += float((finite * finite).sum())
        self._counts += np.bincount(bin_indices(self._baseline, finite), minlength=BINS)

    def counts(self) -> FeatureCounts:
        return FeatureCounts(
            missing=self._missing,
            non_finite=self._non_finite,
            out_of_range=self._out_of_range,
            total=self._total,
            squares=self._squares,
            counts=_ints(self._counts),
        )


class WindowBuilder:
    """Counts the requests of one release from `start` (Unix seconds) on. Not thread-safe.

    `n` counts samples and `latency` counts requests, so that a request with a batch of 8 adds 8 and 1. Classes and
    confidence are counted for classifiers, from the first output, as `edge_contracts.features.top_classes` reads it.
    """

    def __init__(self, release: Release, start: float) -> None:
        self.release = release
        self._start = start
        self._n = self._errors = 0
        self._latency = np.zeros(LATENCY_BINS, np.int64)
        self._features = {feature.name: _FeatureTally(feature) for feature in release.manifest.baseline.features}
        self._classes = np.zeros(0, np.int64)
        self._confidence = np.zeros(CONFIDENCE_BINS, np.int64)

    @property
    def empty(self) -> bool:
        """Whether nothing has been counted yet."""
        return self._n == 0 and self._errors == 0

    def fail(self) -> None:
        """Count a request that was not answered."""
        self._errors += 1

    def add(self, requests: Sequence[Observed]) -> None:
        """Count answered requests, many at once."""
        for request in requests:
            self._n += request.samples
            self._latency[latency_bin(request.latency_us)] += 1
        seen = [request.tensors for request in requests if request.tensors is not None]
        unseen = sum(request.samples for request in requests if request.tensors is None)
        self._add_features([inputs for inputs, _ in seen], unseen)
        if seen and self.release.manifest.task == "classification":
            self._add_answers([outputs for _, outputs in seen])

    def _add_features(self, seen: Sequence[Tensors], unseen: int) -> None:
        requests = [real_inputs(self.release, inputs) for inputs in seen]
        batches = {name: np.concatenate([request[name] for request in requests]) for name in (requests or [{}])[0]}
        for feature in self._features.values():
            feature.skip(unseen)
            if feature.tensor in batches:
                feature.add(batches[feature.tensor])

    def _add_answers(self, seen: Sequence[Tensors]) -> None:
        spec = self.release.variant.outputs[0]
        scores = [outputs[spec.name] for outputs in seen]
        real = [array if is_real(spec, array) else to_real(spec, array) for array in scores]
        rows = np.concatenate([array.reshape(len(array), -1) for array in real]).astype(np.float64)
        classes, probabilities = top_classes(rows[np.isfinite(rows).all(axis=1)])
        width = max(rows.shape[1], 2)
        self._classes = np.bincount(classes, minlength=width) + (self._classes if len(self._classes) else 0)
        self._confidence += np.asarray(confidence_counts(probabilities))

    def close(self, end: float, clock: Clock, health: Health, boot: str, sequence: int) -> TelemetryWindow:
        """The window from the start to `end`, named by (boot, sequence)."""
        release = self.release
        return TelemetryWindow(
            model=release.manifest.model,
            version=release.manifest.version,
            variant=release.variant.name,
            model_digest=release.variant.model.digest,
            start=self._start,
            end=max(end, self._start),
            clock=clock,
            boot=boot,
            sequence=sequence,
            n=self._n,
            errors=self._errors,
            features={name: tally.counts() for name, tally in self._features.items()} if self._n else {},
            classes=_ints(self._classes),
            confidence=_ints(self._confidence) if len(self._classes) else (),
            latency=_ints(self._latency),
            health=health,
        )


def _ints(counts: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
