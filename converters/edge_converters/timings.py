"""What a set of timings says: quantiles, when warm-up is over, and whether one side is faster than the other. Pure.

The process is the unit of replication. How a process happens to lie in memory moves its speed by some per cent for as
long as it lives (Mytkowicz et al., Producing wrong data without doing anything obviously wrong, ASPLOS 2009), so that
two processes of the very same file differ, and no number of inferences within them tells that from a gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_contracts.window import LATENCY_BINS, latency_bin

Medians = npt.NDArray[np.float64]
"""The median of each block of inferences, in microseconds: [processes, turns]."""

T99: Final = {2: 9.925, 4: 4.604, 6: 3.707, 8: 3.355, 10: 3.169}
"""Student's t, two-sided 99 %, by degrees of freedom: twice the processes of a side, less two."""
LEAST_DIFFERENCE: Final = 0.02
"""What two sides have to differ by at least, however alike the processes of the float model happen to be."""
STILL_FALLING: Final = 0.02
"""Of the time of a block: a process that still gets faster by more is not warm."""


class Speed(StrEnum):
    """What may be said of a variant beside its float model."""

    GAIN = "gain"
    LOSS = "loss"
    NO_DIFFERENCE = "no difference"


@dataclass(frozen=True)
class Latency:
    """Single inferences of all processes of one side after warm-up: quantiles and MAD in milliseconds.

    `mad` is the median distance from the median. `histogram` counts them in the bins of the telemetry windows.
    """

    p50: float
    p90: float
    p99: float
    mad: float
    n: int
    histogram: tuple[int, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A variant beside its float model, measured in turns.

    `ratio` is the variant's time over the float model's, with a 99 % interval from `low` to `high`. `aa_spread` is by
    how much processes of the very same float file differed, as a share: what lies within it is no difference.
    """

    ratio: float
    low: float
    high: float
    aa_spread: float
    verdict: Speed
    processes: int
    turns: int


def summarise(microseconds: Sequence[float]) -> Latency:
    """The quantiles of single inferences."""
    values = np.asarray(microseconds, np.float64)
    p50, p90, p99 = (float(value) / 1000 for value in np.percentile(values, (50, 90, 99)))
    mad = float(np.median(np.abs(values / 1000 - p50)))
    bins = np.bincount([latency_bin(value) for value in values], minlength=LATENCY_BINS)
    return Latency(p50, p90, p99, mad, len(values), tuple(int(count) for count in bins))


def is_flat(medians: Sequence[float]) -> bool:
    """Whether successive blocks of one process stopped getting faster: two beside the two before them."""
    if len(medians) < 4:
        return False
    before, now = sum(medians[-4:-2]), sum(medians[-2:])
    return now >= before * (1 - STILL_FALLING)


def compare(variant: Medians, base: Medians, aa_spread: float = 0.0) -> Comparison:
    """Whether the variant is faster or slower than the float model, as far as these turns show.

    Each turn is taken relative to the float model in the same turn, which removes what slowed the machine for all; each
    process then counts once. It is a gain or a loss only if the whole interval of the ratio lies beyond the A/A spread:
    the larger of `aa_spread`, from all runs of the float model, and what its own processes show here. With four
    processes a side, simulated noise of the machine and of processes (normal, heavy-tailed, two speeds) is called a
    gain in about 1 of 1,000 comparisons of a file with itself, or in fewer.
    """
    logs, base_logs = np.log(variant), np.log(base)
    common = np.median(base_logs, axis=0)
    ours, floats = np.median(logs - common, axis=1), np.median(base_logs - common, axis=1)
    middle = float(ours.mean() - floats.mean())
    count = len(ours)
    error = math.sqrt(float(ours.var(ddof=1) + floats.var(ddof=1)) / count)
    half = T99[2 * count - 2] * error
    spread = max(float(np.ptp(floats)), math.log1p(max(aa_spread, LEAST_DIFFERENCE)))
    return Comparison(
        ratio=math.exp(middle),
        low=math.exp(middle - half),
        high=math.exp(middle + half),
        aa_spread=math.expm1(spread),
        verdict=_verdict(middle - half, middle + half, spread),
        processes=count,
        turns=logs.shape[1],
    )


def aa_spread(base: Medians) -> float:
    """By how much processes of the same file differ, the slowest beside the fastest, as a share."""
    logs = np.log(base)
    return math.expm1(float(np.ptp(np.median(logs - np.median(logs, axis=0), axis=1))))


def block_medians(blocks: Sequence[Sequence[Sequence[float]]]) -> Medians:
    """Of blocks of single inferences in microseconds [process][turn][inference]."""
    return np.array([[np.median(block) for block in process] for process in blocks])


def _verdict(low: float, high: float, spread: float) -> Speed:
    if high < -spread:
        return Speed.GAIN
    return Speed.LOSS if low > spread else Speed.NO_DIFFERENCE


def describe(comparison: Comparison) -> str:
    """In words: `0.55 of the float model's time (0.53 to 0.57; A/A 2 %): gain`."""
    return (
        f"{comparison.ratio:.2f} of the float model's time ({comparison.low:.2f} to {comparison.high:.2f}; "
        f"the same file twice differs by {comparison.aa_spread:.1%}): {comparison.verdict}"
    )


Blocks = list[list[float]]
"""Of one process: per turn, single inferences in microseconds."""


def flatten(blocks: Sequence[Blocks]) -> list[float]:
    """All single inferences of a side."""
    return [value for process in blocks for block in process for value in block]
