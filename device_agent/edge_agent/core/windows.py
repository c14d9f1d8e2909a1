"""A telemetry window in the making: answered requests become counts. Keeps no input and no output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.ports import Release, Tensors
from edge_contracts.features import bin_indices, compute, confidence_counts, top_classes
from edge_contracts.manifest import BINS, CONFIDENCE_BINS, DataType, FeatureBaseline, Preprocessing, TensorSpec
from edge_contracts.window import LATENCY_BINS, Clock, FeatureCounts, Health, TelemetryWindow, latency_bin

Reals = npt.NDArray[np.float64]

_STORED: Final = {DataType.INT8, DataType.UINT8, DataType.INT16, DataType.UINT16, DataType.INT32}
IDENTITY: Final = Preprocessing()


@dataclass(frozen=True)
class Observed:
    """One answered request of `samples` samples. `tensors` is None when there was no room to look at them."""

    samples: int
    latency_us: float
    tensors: tuple[Tensors, Tensors] | None
    """Inputs and outputs, samples first."""


def real_values(array: npt.NDArray[np.generic], spec: TensorSpec, preprocessing: Preprocessing = IDENTITY) -> Reals:
    """What the numbers of a tensor mean, in the values a request has before preprocessing.

    Numbers in the model's own integer type are stored values: scale * (stored - zero_point), and the preprocessing is
    undone. All others are real already.
    """
    numbers = np.asarray(array, np.float64)
    quantization = spec.quantization
    if quantization is None or spec.datatype not in _STORED or not np.issubdtype(array.dtype, np.integer):
        return numbers
    return quantization.scale * (numbers - quantization.zero_point) / preprocessing.scale + preprocessing.offset


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

    def add(self, batch: Reals) -> None:
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
        unseen = sum(request.samples for request in requests if request.tensors is None)
        seen = [(request.samples, *request.tensors) for request in requests if request.tensors is not None]
        self._add_features([(samples, inputs) for samples, inputs, _ in seen], unseen)
        if self.release.manifest.task == "classification":
            self._add_answers([outputs for _, _, outputs in seen])

    def _add_features(self, seen: Sequence[tuple[int, Tensors]], unseen: int) -> None:
        preprocessing = self.release.manifest.preprocessing
        batches: dict[str, Reals] = {}
        absent: dict[str, int] = {}
        for spec in self.release.variant.inputs:
            parts = [real_values(inputs[spec.name], spec, preprocessing) for _, inputs in seen if spec.name in inputs]
            absent[spec.name] = sum(samples for samples, inputs in seen if spec.name not in inputs)
            if parts:
                batches[spec.name] = np.concatenate(parts)
        everything = unseen + sum(samples for samples, _ in seen)
        for feature in self._features.values():
            feature.skip(unseen + absent[feature.tensor] if feature.tensor in absent else everything)
            if feature.tensor in batches:
                feature.add(batches[feature.tensor])

    def _add_answers(self, outputs: Sequence[Tensors]) -> None:
        spec = self.release.variant.outputs[0]
        parts = [real_values(output[spec.name], spec) for output in outputs if spec.name in output]
        if not parts:
            return
        rows = np.concatenate([part.reshape(len(part), -1) for part in parts])
        classes, probabilities = top_classes(rows[np.isfinite(rows).all(axis=1)])
        width = max(rows.shape[1], 2, len(self._classes))
        self._classes = np.bincount(classes, minlength=width) + np.pad(self._classes, (0, width - len(self._classes)))
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
