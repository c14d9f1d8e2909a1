"""Latency, honestly: a file beside itself is no difference, a true difference is seen, quantiles are what they say."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from edge_converters.timings import (
    LEAST_DIFFERENCE,
    Medians,
    Speed,
    aa_spread,
    block_medians,
    compare,
    describe,
    is_flat,
    summarise,
)

PROCESSES, TURNS = 4, 8
NOISE = {
    "quiet machine": (0.0, 0.02, 0.0),
    "processes differ by 3 %": (0.03, 0.03, 0.0),
    "processes of two speeds": (0.005, 0.02, 0.3),
    "very noisy": (0.1, 0.1, 0.0),
}
"""By name: sd of a process, sd of a block, and by how much every fifth process is slower."""


def times(rng: np.random.Generator, noise: tuple[float, float, float], slower: float = 0.0) -> tuple[Medians, Medians]:
    """Block medians of two sides in microseconds; turns drift together, every tenth block is disturbed."""
    process, block, two_speeds = noise
    shape = (PROCESSES, TURNS)

    def side(shift: float) -> Medians:
        own = rng.normal(0, process, (PROCESSES, 1)) + two_speeds * (rng.random((PROCESSES, 1)) < 0.2)
        disturbed = (rng.random(shape) < 0.1) * rng.exponential(0.3, shape)
        return shift + own + rng.normal(0, block, shape) + disturbed

    drift = rng.normal(0, 0.05, (1, TURNS))
    return 50 * np.exp(side(np.log1p(slower)) + drift), 50 * np.exp(side(0) + drift)


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_a_file_beside_itself_is_hardly_ever_called_a_gain_or_a_loss(noise):
    rng = np.random.default_rng(0)
    verdicts = Counter(compare(*times(rng, noise)).verdict for _ in range(2000))

    assert verdicts[Speed.GAIN] + verdicts[Speed.LOSS] <= 10
    assert verdicts[Speed.NO_DIFFERENCE] >= 1990


@pytest.mark.parametrize(("slower", "verdict"), [(-0.4, Speed.GAIN), (0.8, Speed.LOSS)])
def test_a_true_difference_is_seen(slower, verdict):
    rng = np.random.default_rng(0)
    found = [compare(*times(rng, NOISE["processes differ by 3 %"], slower)) for _ in range(200)]

    assert sum(each.verdict is verdict for each in found) >= 190
    assert sum(each.low <= 1 + slower <= each.high for each in found) >= 190


def test_what_lies_within_the_spread_of_the_float_model_is_no_difference():
    """A variant 10 % faster, each time alike, beside float processes that differ by more."""
    base = np.full((PROCESSES, TURNS), 100.0) * np.array([[0.9], [1.0], [1.0], [1.1]])
    variant = np.full((PROCESSES, TURNS), 90.0)

    assert compare(variant, base).verdict is Speed.NO_DIFFERENCE
    assert compare(variant, np.full_like(base, 100.0)).verdict is Speed.GAIN
    assert compare(variant, np.full_like(base, 100.0), aa_spread=0.2).verdict is Speed.NO_DIFFERENCE


def test_less_than_the_least_difference_is_none_however_steady():
    steady = np.full((PROCESSES, TURNS), 100.0)

    assert compare(steady * (1 - LEAST_DIFFERENCE / 2), steady).verdict is Speed.NO_DIFFERENCE
    assert compare(steady * (1 - LEAST_DIFFERENCE * 2), steady).verdict is Speed.GAIN


@given(st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_the_unit_and_the_direction_do_not_matter(scale, seed):
    variant, base = times(np.random.default_rng(seed), NOISE["very noisy"], 0.3)
    plain, scaled, swapped = compare(variant, base), compare(variant * scale, base * scale), compare(base, variant)

    assert plain.low <= plain.ratio <= plain.high
    assert scaled.ratio == pytest.approx(plain.ratio)
    assert aa_spread(base * scale) == pytest.approx(aa_spread(base))
    assert swapped.ratio == pytest.approx(1 / plain.ratio, rel=0.2)


def test_warm_up_ends_when_blocks_get_no_faster():
    falling = [100.0, 70.0, 50.0, 41.0, 40.0, 40.0, 40.2]

    assert [is_flat(falling[:end]) for end in range(len(falling) + 1)] == [False] * 6 + [False, True]


def test_quantiles_are_milliseconds_and_every_inference_is_in_the_histogram():
    latency = summarise([float(value) for value in range(1, 10001)])

    assert (latency.p50, latency.p90, latency.p99) == pytest.approx((5.0, 9.0, 9.9), rel=1e-3)
    assert latency.mad == pytest.approx(2.5, rel=1e-3)
    assert latency.n == sum(latency.histogram) == 10000


def test_the_words_name_ratio_interval_spread_and_verdict():
    blocks = [[[100.0, 101.0, 99.0]] * TURNS for _ in range(PROCESSES)]
    said = describe(compare(block_medians(blocks) / 2, block_medians(blocks)))

    assert said == "0.50 of the float model's time (0.50 to 0.50; the same file twice differs by 2.0%): gain"
