"""The telemetry window: what a device saw in an interval, as counts that can be added.

Windows of the same release, variant and slot merge exactly: integer counts add, in any order and grouping.
"""

from __future__ import annotations

import bisect
import math
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from edge_contracts.errors import ContractError
from edge_contracts.ids import Digest, ModelName, VariantName
from edge_contracts.manifest import BINS, CONFIDENCE_BINS, Count
from edge_contracts.wire import Wire

LATENCY_BINS: Final = 64
LATENCY_EDGES_US: Final[tuple[float, ...]] = tuple(10.0 * 10 ** (i / 10) for i in range(LATENCY_BINS - 1))
"""Inner edges in microseconds: ten to the decade, 10 us to about 16 s."""

Histogram32 = Annotated[tuple[Count, ...], Field(min_length=BINS, max_length=BINS)]
Histogram64 = Annotated[tuple[Count, ...], Field(min_length=CONFIDENCE_BINS, max_length=CONFIDENCE_BINS)]


class NotMergeable(ContractError):
    """Two windows are of different releases, variants or slots. Reaction: keep them apart."""


class Clock(StrEnum):
    """How far the device's times may be trusted."""

    SYNCHRONISED = "synchronised"
    FLOOR = "floor"
    SUSPECT = "suspect"


class FeatureCounts(Wire):
    """One feature of the baseline over the window. `counts` are in the baseline's bins."""

    missing: Count = 0
    non_finite: Count = 0
    out_of_range: Count = 0
    total: float = 0.0
    """Sum of the finite values."""
    squares: float = 0.0
    """Sum of their squares."""
    counts: Histogram32


class Health(Wire):
    """The device's state over the window: maxima and counts."""

    rss_bytes: Count = 0
    worker_restarts: Count = 0
    temperature_c: float | None = None
    fallback: bool = False
    """The accelerator was missing and the CPU ran instead."""


class TelemetryWindow(Wire):
    """One interval of one model in one slot. Times are Unix seconds."""

    kind: Literal["window"] = "window"
    model: ModelName
    version: Annotated[int, Field(ge=1)]
    variant: VariantName
    model_digest: Digest
    slot: Annotated[str, StringConstraints(max_length=16)] = "active"
    start: float
    end: float
    clock: Clock = Clock.SYNCHRONISED
    boot: Annotated[str, StringConstraints(max_length=36)]
    sequence: Count
    """Idempotent key together with device and boot."""
    n: Count
    errors: Count = 0
    features: dict[str, FeatureCounts] = {}
    classes: tuple[Count, ...] = ()
    confidence: Histogram64 | tuple[()] = ()
    latency: Histogram64
    health: Health = Health()


def merge(a: TelemetryWindow, b: TelemetryWindow) -> TelemetryWindow:
    """The window over both; keeps the larger `sequence`, the other one is thereby gone.

    Raises:
        NotMergeable: another model, version, variant or slot, or other features.
    """
    same = ("model", "version", "variant", "model_digest", "slot", "boot")
    if any(getattr(a, name) != getattr(b, name) for name in same):
        raise NotMergeable(f"{a.model}@{a.version} {a.variant} and {b.model}@{b.version} {b.variant}")
    if a.n and b.n and (a.features.keys() != b.features.keys() or len(a.classes) != len(b.classes)):
        raise NotMergeable("the windows have other features or classes")
    names = a.features.keys() | b.features.keys()
    return a.model_copy(
        update={
            "start": min(a.start, b.start),
            "end": max(a.end, b.end),
            "clock": max(a.clock, b.clock, key=list(Clock).index),
            "sequence": max(a.sequence, b.sequence),
            "n": a.n + b.n,
            "errors": a.errors + b.errors,
            "features": {name: _merge_features(a.features.get(name), b.features.get(name)) for name in sorted(names)},
            "classes": _add(a.classes, b.classes),
            "confidence": _add(a.confidence, b.confidence),
            "latency": _add(a.latency, b.latency),
            "health": _merge_health(a.health, b.health),
        }
    )


def latency_bin(microseconds: float) -> int:
    """The index of the latency bin of a duration."""
    return bisect.bisect_left(LATENCY_EDGES_US, microseconds)


def latency_quantile(latency: tuple[int, ...], q: float) -> float:
    """The q-quantile in microseconds: the upper edge of its bin, so never better than the truth; NaN if empty."""
    total = sum(latency)
    if not total:
        return math.nan
    seen = 0
    for index, count in enumerate(latency):
        seen += count
        if seen >= q * total:
            return LATENCY_EDGES_US[min(index, LATENCY_BINS - 2)]
    return LATENCY_EDGES_US[-1]


def confidence_bin(probability: float) -> int:
    """The index of the confidence bin of a top-class probability in [0, 1]."""
    return min(max(int(probability * CONFIDENCE_BINS), 0), CONFIDENCE_BINS - 1)


def _add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if not a or not b:
        return a or b
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _merge_features(a: FeatureCounts | None, b: FeatureCounts | None) -> FeatureCounts | None:
    if a is None or b is None:
        return a or b
    return FeatureCounts(
        missing=a.missing + b.missing,
        non_finite=a.non_finite + b.non_finite,
        out_of_range=a.out_of_range + b.out_of_range,
        total=a.total + b.total,
        squares=a.squares + b.squares,
        counts=_add(a.counts, b.counts),
    )


def _merge_health(a: Health, b: Health) -> Health:
    temperatures = [t for t in (a.temperature_c, b.temperature_c) if t is not None]
    return Health(
        rss_bytes=max(a.rss_bytes, b.rss_bytes),
        worker_restarts=a.worker_restarts + b.worker_restarts,
        temperature_c=max(temperatures, default=None),
        fallback=a.fallback or b.fallback,
    )
