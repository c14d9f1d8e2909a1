"""What charts are drawn with: marks, scales with round ticks, a frame with axes. Pure; a template makes the SVG.

Colours are classes of the page's style sheet, so that one drawing serves light, dark and paper. Coordinates are
rounded: the same values give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

WIDTH: Final = 440.0
LETTER: Final = 7.0
"""Of an axis label at most, on average, in units of the drawing."""

Shape = Literal["rect", "circle", "line", "polyline", "polygon", "text"]


@dataclass(frozen=True)
class Mark:
    """One SVG element. `title` is shown to who points at it."""

    shape: Shape
    attributes: tuple[tuple[str, str], ...]
    title: str = ""
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing of `WIDTH` by `height`. `label` says in words what it shows; `keys` are its legend: class, words."""

    label: str
    height: float
    marks: tuple[Mark, ...]
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def width(self) -> float:
        """As of every chart."""
        return WIDTH


@dataclass(frozen=True)
class Scale:
    """From values in `low`..`high` to places in `start`..`end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies; beyond the ends it stays at them."""
        first, last, here = (self._bent(each) for each in (self.low, self.high, min(max(value, self.low), self.high)))
        share = (here - first) / (last - first) if last > first else 0.5
        return self.start + share * (self.end - self.start)

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.log else value

    @property
    def ticks(self) -> tuple[float, ...]:
        """A few round values within."""
        return log_ticks(self.low, self.high) if self.log else round_ticks(self.low, self.high)


def spanning(values: Iterable[float], start: float, end: float, *, log: bool = False, zero: bool = False) -> Scale:
    """A scale over all values with a little room at both ends; `zero`: from 0 on, or up to it."""
    found = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
    low, high = min(found), max(found)
    if log:
        return Scale(low / 1.25, high * 1.25, start, end, log=True)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low or abs(high) or 1.0) * 0.06
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


def round_ticks(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 and a power of ten, three to eight of them."""
    span = high - low
    if not span > 0:
        return (low,)
    power = 10 ** math.floor(math.log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 7.5)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return tuple(float(f"{(first + place) * step:.12g}") for place in range(count))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 of each power of ten, or only the powers where there are many."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) <= 2 else (1,)
    found = [factor * 10.0**power for power in powers for factor in factors]
    inside = tuple(float(f"{value:.12g}") for value in found if low <= value <= high)
    return inside if len(inside) > 1 else round_ticks(low, high)


@dataclass(frozen=True)
class Frame:
    """Where values go: two scales, and how much room the ends leave."""

    x: Scale
    y: Scale

    def grid(
        self, x_title: str, y_title: str, words: Callable[[float], str] = "{:g}".format, ticks: bool = True
    ) -> list[Mark]:
        """Lines and labels of both axes; `words` writes values of the x axis, without `ticks` it has none."""
        left, right, foot, top = self.x.start, self.x.end, self.y.start, self.y.end
        marks = []
        for value in self.y.ticks:
            at = self.y(value)
            marks += [line(left, at, right, at, "grid"), text(left - 6, at + 4, f"{value:g}", "tick end")]
        for value in self.x.ticks if ticks else ():
            at = self.x(value)
            marks += [line(at, foot, at, foot + 4, "axis"), text(at, foot + 16, words(value), "tick middle")]
        marks.append(line(left, foot, right, foot, "axis"))
        marks.append(text((left + right) / 2, foot + 33, x_title, "title middle"))
        marks.append(text(4, top - 9, y_title, "title"))
        return marks


def framed(x_values: Iterable[float], y_values: Iterable[float], height: float, **kinds: bool) -> Frame:
    """A frame over values of both axes; `log_x`, `zero_x`, `zero_y`."""
    return Frame(
        spanning(x_values, 46, WIDTH - 12, log=kinds.get("log_x", False), zero=kinds.get("zero_x", False)),
        spanning(y_values, height - 42, 26, zero=kinds.get("zero_y", False)),
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str, title: str = "") -> Mark:
    """A straight line."""
    return _mark("line", kind, title, x1=x1, y1=y1, x2=x2, y2=y2)


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Mark:
    """A rectangle."""
    return _mark("rect", kind, title, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0))


def circle(x: float, y: float, radius: float, kind: str, title: str = "") -> Mark:
    """A disc."""
    return _mark("circle", kind, title, cx=x, cy=y, r=radius)


def text(x: float, y: float, words: str, kind: str) -> Mark:
    """Words; `kind` says where they begin: `middle`, `end`, else there."""
    return Mark("text", (("class", kind), ("x", _number(x)), ("y", _number(y))), text=words)


def polyline(points: Sequence[tuple[float, float]], kind: str, title: str = "") -> Mark:
    """A line through points."""
    return _through("polyline", points, kind, title)


def polygon(points: Sequence[tuple[float, float]], kind: str, title: str = "") -> Mark:
    """An area with these corners."""
    return _through("polygon", points, kind, title)


def _through(shape: Shape, points: Sequence[tuple[float, float]], kind: str, title: str) -> Mark:
    places = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return Mark(shape, (("class", kind), ("points", places)), title)


def _mark(shape: Shape, kind: str, title: str, **numbers: float) -> Mark:
    return Mark(shape, (("class", kind), *((name, _number(value)) for name, value in numbers.items())), title)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
