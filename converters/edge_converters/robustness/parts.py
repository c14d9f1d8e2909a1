"""The parts of an input that are moved one by one: patches of an image, times and bands, or single features. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.robustness.corruptions import Domain, InputKind

Array = npt.NDArray[Any]

PATCHES: Final = 6
"""Of an image, along each side."""
STRETCHES: Final = 16
"""Of a spectrogram, along each axis."""
MOST_FEATURES: Final = 48
"""Of a vector; more are taken together with their neighbours."""


@dataclass(frozen=True)
class Part:
    """Some elements of a sample: `mask` is 1 there and 0 elsewhere, in the sample's shape."""

    name: str
    mask: Array


def parts_of(domain: Domain, sample: tuple[int, ...]) -> tuple[Part, ...]:
    """The parts of a sample of this shape; each element is in at least one."""
    return _PARTS[domain.kind](domain, sample)


def _patches(domain: Domain, sample: tuple[int, ...]) -> tuple[Part, ...]:
    rows, columns = (_cuts(sample[axis - 1], PATCHES) for axis in domain.axes)
    first, second = (axis - 1 for axis in domain.axes)
    return tuple(
        Part(
            f"rows {top}-{down - 1}, columns {left}-{right - 1}",
            _mask(sample, {first: (top, down), second: (left, right)}),
        )
        for top, down in rows
        for left, right in columns
    )


def _stretches(domain: Domain, sample: tuple[int, ...]) -> tuple[Part, ...]:
    found = []
    for word, axis in zip(("time", "band"), domain.axes, strict=True):
        for low, high in _cuts(sample[axis - 1], STRETCHES):
            found.append(Part(_named(word, low, high), _mask(sample, {axis - 1: (low, high)})))
    return tuple(found)


def _features(domain: Domain, sample: tuple[int, ...]) -> tuple[Part, ...]:
    del domain
    count = int(np.prod(sample))
    found = []
    for low, high in _cuts(count, MOST_FEATURES):
        mask = np.zeros(count, np.float32)
        mask[low:high] = 1
        found.append(Part(_named("feature", low, high), mask.reshape(sample)))
    return tuple(found)


def _mask(sample: tuple[int, ...], stretches: dict[int, tuple[int, int]]) -> Array:
    mask = np.zeros(sample, np.float32)
    mask[tuple(slice(*stretches[axis]) if axis in stretches else slice(None) for axis in range(len(sample)))] = 1
    return mask


def _cuts(length: int, most: int) -> list[tuple[int, int]]:
    """`length` elements in at most `most` stretches of about the same length."""
    edges = np.linspace(0, length, min(most, length) + 1).round().astype(int)
    return [(int(low), int(high)) for low, high in pairwise(edges)]


def _named(word: str, low: int, high: int) -> str:
    return f"{word} {low}" if high - low == 1 else f"{word} {low}-{high - 1}"


_PARTS: Final = {
    InputKind.IMAGE: _patches,
    InputKind.SPECTROGRAM: _stretches,
    InputKind.VECTOR: _features,
}
