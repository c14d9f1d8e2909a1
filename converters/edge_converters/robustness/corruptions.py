"""Worse inputs: noise and what befalls pictures, spectrograms and rows of features, each at five strengths. Pure.

After D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
ICLR 2019; masks of spectrograms after D. S. Park et al., "SpecAugment", Interspeech 2019. Strengths are of the data's
own range and deviation, so that they fit any scale of inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

COLOURS: Final = frozenset({1, 3, 4})
LEAST_SIDE: Final = 4
"""What is narrower is no plane: a few values beside each other."""


class InputKind(StrEnum):
    """What a sample shows, which says what can befall it."""

    IMAGE = "image"
    SPECTROGRAM = "spectrogram"
    VECTOR = "vector"


@dataclass(frozen=True)
class Domain:
    """What inputs look like. `axes`: of a batch [n, ...], rows and columns of an image, time and frequency of a
    spectrogram, empty for a vector; `low`, `high`: the range of all values; `middle`, `spread`: mean and standard
    deviation of each element over the samples.
    """

    kind: InputKind
    axes: tuple[int, ...]
    low: float
    high: float
    middle: Array
    spread: Array

    @property
    def range(self) -> float:
        """Largest less smallest value."""
        return self.high - self.low


Corrupt = Callable[[Array, float, Domain, np.random.Generator], Array]


@dataclass(frozen=True)
class Corruption:
    """Something that befalls inputs. `levels` grow worse, in `unit`; `apply` leaves its input as it is."""

    name: str
    unit: str
    levels: tuple[float, ...]
    apply: Corrupt


def domain_of(samples: Array, kind: InputKind | None = None) -> Domain:
    """What is known of inputs from `samples`, [n, ...]; the kind is told from the shape if it is not given."""
    found = kind or kind_of(samples.shape[1:])
    return Domain(
        kind=found,
        axes=() if found is InputKind.VECTOR else _plane(samples.shape[1:]) or (),
        low=float(samples.min()),
        high=float(samples.max()),
        middle=samples.mean(axis=0),
        spread=samples.std(axis=0),
    )


def kind_of(sample: Shape) -> InputKind:
    """Three or four channels, or a square of one: an image. Another plane: time by frequency. Else a vector."""
    axes = _plane(sample)
    if axes is None:
        return InputKind.VECTOR
    first, second = (sample[axis - 1] for axis in axes)
    if len(sample) == 3 and (first == second or sample[_channel_axis(sample)] in {3, 4}):
        return InputKind.IMAGE
    return InputKind.SPECTROGRAM


def _plane(sample: Shape) -> tuple[int, int] | None:
    """The two axes of the plane in a batch; None if there is none."""
    if len(sample) == 2:
        axes = (1, 2)
    elif len(sample) == 3 and sample[_channel_axis(sample)] in COLOURS:
        axes = (1, 2) if _channel_axis(sample) == 2 else (2, 3)
    else:
        return None
    return axes if min(sample[axis - 1] for axis in axes) >= LEAST_SIDE else None


def _channel_axis(sample: Shape) -> int:
    """Of [height, width, channels] or [channels, height, width]: where the few are."""
    return 2 if sample[2] in COLOURS else 0


def add_noise(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Gaussian noise `level` decibels below the variance of each sample."""
    del domain
    every = tuple(range(1, x.ndim))
    power = x.var(axis=every, keepdims=True) / 10 ** (level / 10)
    return _as(x, x + rng.normal(size=x.shape) * np.sqrt(power))


def change_gain(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Each sample louder or quieter by `level` decibels, at random."""
    del domain
    return _as(x, x * 10 ** (level * _signs(x, rng) / 20))


def change_brightness(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Each sample brighter or darker by that share of the range; what leaves the range is cut off, as by a camera."""
    return _as(x, np.clip(x + level * domain.range * _signs(x, rng), domain.low, domain.high))


def lower_contrast(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Each sample nearer to its own mean by that share."""
    del domain, rng
    return _as(x, x + (x.mean(axis=tuple(range(1, x.ndim)), keepdims=True) - x) * level)


def blur(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Gaussian blur, its deviation `level` per cent of the shorter side and 0.3 pixels: less moves nothing."""
    del rng
    # SciPy's filters are needed here alone
    from scipy.ndimage import gaussian_filter

    sides = [x.shape[axis] for axis in domain.axes]
    deviation = [0.3 + level / 100 * min(sides) if axis in domain.axes else 0.0 for axis in range(x.ndim)]
    return _as(x, gaussian_filter(x.astype(np.float64), deviation, mode="nearest"))


def cover(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """A patch over that share of the plane, at random, in the mean of all samples."""
    made = x.copy()
    for number in range(len(x)):
        places: list[Any] = [slice(None)] * x.ndim
        places[0] = number
        for axis in domain.axes:
            places[axis] = _stretch(x.shape[axis], np.sqrt(level), rng)
        made[tuple(places)] = domain.middle[tuple(places[1:])]
    return made


def shift_time(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Each sample earlier or later by that share of its length; the end is repeated."""
    axis = domain.axes[0]
    length = x.shape[axis]
    steps = max(round(level * length), 1)
    earlier, later = (np.take(x, np.clip(np.arange(length) + by, 0, length - 1), axis=axis) for by in (steps, -steps))
    return _as(x, np.where(_signs(x, rng) > 0, later, earlier))


def mask_time(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """A stretch of time that long becomes the mean."""
    return _masked(x, level, domain, domain.axes[0], rng)


def mask_frequency(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """A band that wide becomes the mean."""
    return _masked(x, level, domain, domain.axes[1], rng)


def shift_values(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """Each element of each sample off by `level` of its standard deviations, up or down: sensors that drifted."""
    return _as(x, x + level * domain.spread * rng.choice((-1.0, 1.0), x.shape))


def drop_values(x: Array, level: float, domain: Domain, rng: np.random.Generator) -> Array:
    """That share of the elements becomes their mean: sensors that failed."""
    return _as(x, np.where(rng.random(x.shape) < level, domain.middle, x))


def _masked(x: Array, share: float, domain: Domain, axis: int, rng: np.random.Generator) -> Array:
    made = x.copy()
    for number in range(len(x)):
        places: list[Any] = [slice(None)] * x.ndim
        places[0], places[axis] = number, _stretch(x.shape[axis], share, rng)
        made[tuple(places)] = domain.middle[tuple(places[1:])]
    return made


def _stretch(length: int, share: float, rng: np.random.Generator) -> slice:
    width = min(max(round(length * share), 1), length)
    start = int(rng.integers(0, length - width + 1))
    return slice(start, start + width)


def _signs(x: Array, rng: np.random.Generator) -> Array:
    """One or minus one for each sample, in a shape that spreads over it."""
    return rng.choice((-1.0, 1.0), (len(x), *(1,) * (x.ndim - 1)))


def _as(x: Array, values: Array) -> Array:
    return np.asarray(values, x.dtype)


NOISE: Final = Corruption("Gaussian noise", "dB signal to noise", (30, 20, 15, 10, 5), add_noise)
GAIN: Final = Corruption("gain", "dB", (1, 2, 3, 4.5, 6), change_gain)
SHARE: Final = "of the input"

CORRUPTIONS: Final[dict[InputKind, tuple[Corruption, ...]]] = {
    InputKind.IMAGE: (
        NOISE,
        Corruption("brightness", "of the range", (0.05, 0.1, 0.2, 0.3, 0.4), change_brightness),
        Corruption("contrast lost", "of the contrast", (0.2, 0.4, 0.55, 0.7, 0.8), lower_contrast),
        Corruption("blur", "% of the shorter side and 0.3 pixels", (0.5, 1, 1.5, 2, 3), blur),
        Corruption("occlusion", SHARE, (0.05, 0.1, 0.2, 0.3, 0.4), cover),
    ),
    InputKind.SPECTROGRAM: (
        NOISE,
        GAIN,
        Corruption("time shift", "of the length", (0.04, 0.08, 0.12, 0.16, 0.2), shift_time),
        Corruption("time mask", "of the length", (0.05, 0.1, 0.2, 0.3, 0.4), mask_time),
        Corruption("frequency mask", "of the band", (0.1, 0.2, 0.3, 0.4, 0.5), mask_frequency),
    ),
    InputKind.VECTOR: (
        NOISE,
        GAIN,
        Corruption("drifted values", "standard deviations", (0.1, 0.25, 0.5, 0.75, 1), shift_values),
        Corruption("missing values", SHARE, (0.05, 0.1, 0.2, 0.3, 0.5), drop_values),
    ),
}
"""By kind of input. The first is the noise sweep."""
