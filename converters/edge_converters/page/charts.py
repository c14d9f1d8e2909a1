"""The report's charts of numbers, each a `Chart` with its words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_contracts.window import LATENCY_EDGES_US
from edge_converters.fronts import front
from edge_converters.page.drawing import (
    LETTER,
    WIDTH,
    Chart,
    Frame,
    Mark,
    Scale,
    circle,
    framed,
    line,
    polygon,
    polyline,
    rect,
    spanning,
    text,
)

SERIES: Final = 6
"""Colours that a person tells apart; then they come again."""
BOTH: Final = (("float", "float model"), ("variant", "variant"))
MOST_LETTERS: Final = 24
WIDEST: Final = 40.0
"""Of a column."""
HALF: Final = 50.0
"""Per cent: scores above are shown beside the best there is."""


@dataclass(frozen=True)
class Point:
    """A candidate: what it costs along x, what it loses, and whose it is."""

    name: str
    group: str
    cost: float
    loss: float
    taken: bool = False


@dataclass(frozen=True)
class Interval:
    """A row with its value, and the bound above which it does not lie. `tone` is a verdict."""

    name: str
    value: float
    bound: float
    tone: str


def trade(
    points: Sequence[Point],
    groups: Sequence[str],
    x_title: str,
    y_title: str,
    allowed: float,
    label: str,
    *,
    log: bool = False,
) -> Chart:
    """Cost against loss, the Pareto front as a stair, the allowed loss as a line.

    `groups` are all that the page shows, so that each has one colour in every chart.
    """
    height = 300.0
    frame = framed(
        [point.cost for point in points],
        [*(point.loss for point in points), allowed],
        height,
        log_x=log,
        zero_y=True,
    )
    marks = frame.grid(x_title, y_title)
    marks.append(line(frame.x.start, frame.y(allowed), frame.x.end, frame.y(allowed), "limit", f"allowed: {allowed:g}"))
    best = [points[place] for place in front([(point.cost, point.loss) for point in points])]
    marks += _stair(frame, sorted(best, key=lambda point: (point.cost, -point.loss)))
    drawn: Counter[tuple[float, float]] = Counter()
    for point in points:
        kind = _colour(point.group, groups)
        said = f"{point.group}, {point.name}: {point.cost:.4g}; loses {point.loss:+.2f}"
        at = (frame.x(point.cost), frame.y(point.loss))
        beside = 8 * drawn[at]  # what lies in one place is shown side by side
        drawn[at] += 1
        marks.append(
            circle(
                at[0] + beside, at[1], 5.5 if point.taken else 4, f"dot {kind}{'' if point.taken else ' hollow'}", said
            )
        )
    there = {point.group for point in points}
    keys = [(_colour(group, groups), group) for group in (*groups, FLOAT) if group in there]
    return Chart(label, height, tuple(marks), (*keys, ("front", "Pareto front"), ("limit", "allowed")))


FLOAT: Final = "float model"


def _colour(group: str, groups: Sequence[str]) -> str:
    return "ink" if group == FLOAT else f"series-{groups.index(group) % SERIES}"


def _stair(frame: Frame, best: Sequence[Point]) -> list[Mark]:
    if len(best) < 2:
        return []
    corners: list[tuple[float, float]] = []
    for point in best:
        here = (frame.x(point.cost), frame.y(point.loss))
        if corners:
            corners.append((here[0], corners[-1][1]))
        corners.append(here)
    return [polyline(corners, "front")]


def intervals(rows: Sequence[Interval], limits: Sequence[tuple[float, str]], x_title: str, label: str) -> Chart:
    """A row for each: a dot at its value, a line up to its bound; what is allowed as lines across all."""
    left = min(max((len(_short(row.name)) for row in rows), default=0) * LETTER + 12, 170.0)
    row_height, top = 22.0, 24.0
    foot = top + row_height * len(rows)
    values = [value for row in rows for value in (row.value, row.bound)] + [limit for limit, _ in limits]
    x = spanning(values, left, WIDTH - 12, zero=True)
    marks = Frame(x, Scale(1.0, 2.0, foot, top)).grid(x_title, "")[-2 * len(x.ticks) - 2 :]
    zero = x(0.0)
    marks.append(line(zero, top - 6, zero, foot, "grid"))
    for limit, words in limits:
        marks.append(line(x(limit), top - 6, x(limit), foot, "limit", f"{words}: {limit:g}"))
    for place, row in enumerate(rows):
        at = top + row_height * (place + 0.5)
        said = f"{row.name}: {row.value:+.2f}, at most {row.bound:.2f}"
        marks += [
            text(left - 8, at + 4, _short(row.name), "tick end"),
            line(x(row.value), at, x(row.bound), at, f"whisker {row.tone}", said),
            line(x(row.bound), at - 4, x(row.bound), at + 4, f"whisker {row.tone}"),
            circle(x(row.value), at, 4.5, f"dot {row.tone}", said),
        ]
    return Chart(label, foot + 42, tuple(marks), tuple(("limit", words) for _, words in limits[:1]))


def latencies(source: Sequence[int], variant: Sequence[int]) -> Chart | None:
    """How long single inferences took, float model and variant, as shares in ten bins to the decade."""
    used = [place for place in range(len(variant)) if source[place] or variant[place]]
    if not used:
        return None
    first, last = used[0], used[-1]
    edges = [_edge(place) for place in range(first - 1, last + 1)]
    height = 220.0
    shares = [[100 * count / max(sum(counts), 1) for count in counts[first : last + 1]] for counts in (source, variant)]
    x = Scale(edges[0], edges[-1], 46, WIDTH - 12, log=True)
    frame = Frame(x, spanning([*shares[0], *shares[1], 0.0], height - 42, 26, zero=True))
    marks = frame.grid("milliseconds for one inference", "% of inferences")
    for kind, heights in zip(("float", "variant"), shares, strict=True):
        marks += _outline(frame, edges, heights, kind, "ms")
    return Chart("Distribution of latencies, float model and variant", height, tuple(marks), BOTH)


def _edge(place: int) -> float:
    """The upper edge of a latency bin in milliseconds."""
    if place < 0:
        return LATENCY_EDGES_US[0] / 1000 / 1.26
    return (
        LATENCY_EDGES_US[min(place, len(LATENCY_EDGES_US) - 1)] / 1000 * (1.26 if place >= len(LATENCY_EDGES_US) else 1)
    )


def _outline(frame: Frame, edges: Sequence[float], heights: Sequence[float], kind: str, unit: str) -> list[Mark]:
    """A histogram as an area, and for each bin something to point at."""
    foot, corners = frame.y(0.0), [(frame.x(edges[0]), frame.y(0.0))]
    for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
        corners += [(frame.x(low), frame.y(height)), (frame.x(high), frame.y(height))]
    corners.append((frame.x(edges[-1]), foot))
    said = [
        rect(
            frame.x(low),
            frame.y(height),
            frame.x(high) - frame.x(low),
            foot - frame.y(height),
            "hover",
            f"{kind}, {low:.3g} to {high:.3g} {unit}: {height:.1f} %".replace("  ", " "),
        )
        for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True)
        if height
    ]
    return [polygon(corners, f"area {kind}"), *said]


def histogram(edges: Sequence[float], counts: Sequence[int], x_title: str, label: str) -> Chart:
    """One histogram, in per cent of all."""
    height, total = 200.0, max(sum(counts), 1)
    shares = [100 * count / total for count in counts]
    frame = Frame(Scale(edges[0], edges[-1], 46, WIDTH - 12), spanning([*shares, 0.0], height - 42, 26, zero=True))
    marks = frame.grid(x_title, "% of all", "{:.2g}".format)
    return Chart(label, height, (*marks, *_outline(frame, edges, shares, "variant", "")))


def columns(names: Sequence[str], values: Sequence[float], tones: Sequence[str], y_title: str, label: str) -> Chart:
    """One thin column for each, in order; too many for names, so each tells its own when pointed at."""
    height = 210.0
    frame = Frame(Scale(0, max(len(values), 1), 46, WIDTH - 12), spanning([*values, 0.0], height - 30, 26, zero=True))
    marks = frame.grid("", y_title, ticks=False)
    slot = (frame.x.end - frame.x.start) / max(len(values), 1)
    width = min(slot * 0.7, WIDEST)
    for place, (name, value, tone) in enumerate(zip(names, values, tones, strict=True)):
        top, foot = frame.y(max(value, 0.0)), frame.y(min(value, 0.0) if value < 0 else 0.0)
        at = frame.x(place) + (slot - width) / 2
        marks.append(rect(at, top, width, foot - top, f"bar {tone}", f"{name}: {value:.3g}"))
    marks += [
        text(frame.x.start, height - 12, "input", "tick"),
        text(frame.x.end, height - 12, "output", "tick end"),
    ]
    return Chart(label, height, tuple(marks))


def curves(
    places: Sequence[float], source: Sequence[float], variant: Sequence[float], x_title: str, y_title: str, label: str
) -> Chart:
    """Two lines over the same places, which are put at equal distances: a sweep from mild to strong."""
    height = 210.0
    frame = Frame(
        Scale(0, max(len(places) - 1, 1), 56, WIDTH - 24),
        spanning(
            [*source, *variant, 0.0, *([100.0] if max(*source, *variant) > HALF else [])], height - 42, 26, zero=True
        ),
    )
    words = {float(place): f"{value:g}" for place, value in enumerate(places)}
    grid = frame.grid(x_title, y_title, lambda value: words.get(value, ""))
    marks = [mark for mark in grid if mark.shape != "text" or mark.text]
    for kind, values in zip(("float", "variant"), (source, variant), strict=True):
        points = [(frame.x(place), frame.y(value)) for place, value in enumerate(values)]
        marks.append(polyline(points, f"curve {kind}"))
        marks += [
            circle(*at, 3.5, f"dot {kind}", f"{kind}, {level:g}: {value:.1f}")
            for at, level, value in zip(points, places, values, strict=True)
        ]
    return Chart(label, height, tuple(marks), BOTH)


def against(
    series: Sequence[tuple[str, Sequence[tuple[float, float, str]]]],
    x_title: str,
    y_title: str,
    label: str,
    *,
    joined: bool = False,
    most: float | None = None,
) -> Chart:
    """Points (x, y, words) of `float` or `variant` about the diagonal, where both axes are the same."""
    height = 300.0
    top = most or max([value for _, points in series for x, y, _ in points for value in (x, y)], default=1.0) or 1.0
    end = top * (1 if most else 1.05)
    y = Scale(0, end, height - 42, 26)
    left = max(46.0, max(len(f"{tick:g}") for tick in y.ticks) * LETTER + 8)
    frame = Frame(Scale(0, end, left, WIDTH - 12), y)
    marks = frame.grid(x_title, y_title)
    marks.append(line(frame.x.start, frame.y.start, frame.x.end, frame.y.end, "diagonal"))
    for kind, points in series:
        if joined:
            marks.append(polyline([(frame.x(x), frame.y(y)) for x, y, _ in points], f"curve {kind}"))
        marks += [circle(frame.x(x), frame.y(y), 4, f"dot {kind}", words) for x, y, words in points]
    keys = tuple(key for key in BOTH if key[0] in {kind for kind, _ in series}) if len(series) > 1 else ()
    return Chart(label, height, tuple(marks), keys)


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
