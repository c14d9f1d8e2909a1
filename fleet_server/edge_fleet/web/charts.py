"""Small charts as rectangles with a sentence each; the templates draw them as inline SVG, without style attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from edge_contracts.operations import WaveView
from edge_contracts.window import LATENCY_BINS, LATENCY_EDGES_US
from edge_fleet.services.release_telemetry import CohortTelemetry

WIDTH: Final = 320.0
HEIGHT: Final = 96.0
MOST_BARS: Final = 16
SEGMENTS: Final = ("succeeded", "updating", "pending", "failed", "rolled_back", "aborted")
"""Of a wave, in the order of the bar."""


@dataclass(frozen=True)
class Rect:
    """One rectangle, in units of its chart; `tone` is its class in the style sheet."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str


@dataclass(frozen=True)
class Chart:
    """What to draw, what it shows in words, and the labels under its two ends."""

    label: str
    rects: tuple[Rect, ...]
    steps: str = ""
    """Points of a polyline over the bars: the baseline."""
    low: str = ""
    high: str = ""


def stacked(wave: WaveView) -> Chart:
    """A wave's devices in one bar of width 100."""
    counts = {name: getattr(wave, name) for name in SEGMENTS}
    return _stacked(f"wave {wave.number}", counts)


def stacked_waves(waves: Sequence[WaveView]) -> Chart:
    """All devices of a rollout in one bar of width 100."""
    return _stacked("all waves", {name: sum(getattr(wave, name) for wave in waves) for name in SEGMENTS})


def _stacked(what: str, counts: Mapping[str, int]) -> Chart:
    total = sum(counts.values()) or 1
    rects, x = [], 0.0
    for name, count in counts.items():
        if count:
            width = 100.0 * count / total
            rects.append(Rect(x, 0, width, 10, name.replace("_", "-"), f"{count} {name.replace('_', ' ')}"))
            x += width
    return Chart(f"{what}: " + (", ".join(rect.title for rect in rects) or "no devices"), tuple(rects))


def latency_chart(latency: Sequence[int]) -> Chart:
    """The latency histogram, over the bins that hold anything."""
    used = [index for index, count in enumerate(latency) if count]
    if not used:
        return Chart("no latencies", ())
    first, last = max(used[0] - 1, 0), min(used[-1] + 1, LATENCY_BINS - 1)
    counts = latency[first : last + 1]
    low, high = _edge(first - 1), _edge(last)
    return Chart(
        f"latency from {low} to {high}",
        tuple(
            _bar(index, len(counts), count / max(counts), "live", f"{_edge(first + index)} or less: {count}")
            for index, count in enumerate(counts)
        ),
        low=low,
        high=high,
    )


def share_chart(name: str, live: Sequence[float], baseline: Sequence[float], low: str, high: str) -> Chart:
    """Live shares as bars, the baseline's as a line of steps; neighbouring bins are merged to at most 16."""
    bars, line = _merged(live), _merged(baseline)
    top = max(*bars, *line, 1e-9)
    rects = tuple(
        _bar(index, len(bars), share / top, "live", f"{share:.1%} now, {line[index]:.1%} in the baseline")
        for index, share in enumerate(bars)
    )
    return Chart(f"{name}: now against the baseline", rects, _steps(line, top), low, high)


def of_cohort(cohort: CohortTelemetry, labels: Sequence[str]) -> dict[str, Chart]:
    """The charts of one hardware profile by name: `latency`, and one for each stream."""
    charts = {"latency": latency_chart(cohort.latency)}
    for stream in (*cohort.inputs, *cohort.answers):
        if len(stream.live) > 1 and (stream.finding is not None or stream.group != "validity"):
            low, high = _ends(stream.name, labels)
            charts[stream.name] = share_chart(stream.name, stream.live, stream.baseline, low, high)
    return charts


def _ends(name: str, labels: Sequence[str]) -> tuple[str, str]:
    match name:
        case "classes":
            return (labels[0], labels[-1]) if labels else ("first class", "last class")
        case "confidence":
            return "0", "1"
        case _:
            return "low", "high"


def _bar(index: int, bars: int, share: float, tone: str, title: str) -> Rect:
    slot = WIDTH / bars
    gap = min(2.0, slot / 6)
    height = max(share * (HEIGHT - 4), 1.0 if share else 0.0)
    return Rect(
        round(index * slot + gap / 2, 2), round(HEIGHT - height, 2), round(slot - gap, 2), round(height, 2), tone, title
    )


def _steps(shares: Sequence[float], top: float) -> str:
    slot, points = WIDTH / len(shares), []
    for index, share in enumerate(shares):
        y = HEIGHT - share / top * (HEIGHT - 4)
        points += [f"{index * slot:.1f},{y:.1f}", f"{(index + 1) * slot:.1f},{y:.1f}"]
    return " ".join(points)


def _merged(shares: Sequence[float]) -> list[float]:
    if len(shares) <= MOST_BARS:
        return list(shares)
    cuts = [round(index * len(shares) / MOST_BARS) for index in range(MOST_BARS + 1)]
    return [sum(shares[low:high]) for low, high in pairwise(cuts)]


def _edge(index: int) -> str:
    if index < 0:
        return "0"
    micros = LATENCY_EDGES_US[min(index, LATENCY_BINS - 2)]
    return (
        f"{micros:.0f} us" if micros < 1000 else f"{micros / 1000:.3g} ms" if micros < 1e6 else f"{micros / 1e6:.3g} s"
    )
