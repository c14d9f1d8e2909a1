"""Axes carry round numbers, places keep the order of values, and the Pareto front holds what nothing beats."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_converters.fronts import dominates, front
from edge_converters.page.drawing import WIDTH, Scale, log_ticks, round_ticks, spanning

REAL = st.floats(-1e6, 1e6, allow_subnormal=False)
COST = st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float))


@given(low=REAL, span=st.floats(1e-3, 1e6))
def test_ticks_are_a_few_round_values_within_the_axis(low: float, span: float):
    high = low + span
    assume(span / max(abs(low), abs(high)) > 1e-6)

    ticks = round_ticks(low, high)

    assert 3 <= len(ticks) <= 8
    assert all(low - span * 1e-6 <= tick <= high + span * 1e-6 for tick in ticks)
    steps = {f"{(b - a) / 10 ** math.floor(math.log10((b - a) * 1.000001)):.3f}" for a, b in pairwise(ticks)}
    assert steps <= {"1.000", "2.000", "5.000"}


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.6, 1e6))
def test_a_logarithmic_axis_has_ticks_too(low: float, factor: float):
    ticks = log_ticks(low, low * factor)

    assert len(ticks) >= 2
    assert list(ticks) == sorted(ticks)


@given(values=st.lists(REAL, min_size=1, max_size=20), zero=st.booleans())
def test_every_value_has_a_place_on_the_axis_in_its_order(values: list[float], zero: bool):
    scale = spanning(values, 0.0, WIDTH, zero=zero)

    places = [scale(value) for value in sorted(values)]

    assert places == sorted(places)
    assert all(0 <= place <= WIDTH for place in places)
    assert math.isfinite(scale(0.0))


def test_what_lies_beyond_the_ends_stays_at_them():
    scale = Scale(1, 100, 0, 200, log=True)

    assert (scale(10), scale(0.1), scale(1000)) == (pytest.approx(100), 0, 200)


@given(candidates=st.lists(COST, min_size=1, max_size=30))
def test_the_front_holds_all_that_nothing_dominates_and_only_that(candidates: list[tuple[float, float]]):
    best = front(candidates)

    assert best
    for place, costs in enumerate(candidates):
        beaten = any(dominates(other, costs) for other in candidates)
        assert (place in best) != beaten
