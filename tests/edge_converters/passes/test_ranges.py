"""A range is narrowed where a rare value would cost all others their resolution, and kept where the value matters."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_converters.networks import Evidence
from edge_converters.passes.ranges import choose_ranges, rounded
from tests.support.networks import Builder, evidence, run


def test_one_wild_value_among_many_is_cut_off():
    build = Builder((1, 16, 16))
    network = build.network(build.conv("x", 4))
    samples = np.random.default_rng(0).normal(size=(60, 1, 16, 16)).astype(np.float32)
    samples[0, 0, 0, 0] = 60

    low, high = choose_ranges(network, Evidence(samples, run))["x"]

    assert high < 30
    assert low < -2


def test_even_values_keep_their_range():
    build = Builder((1, 8, 8))
    network = build.network(build.conv("x", 4))
    samples = np.random.default_rng(0).uniform(-1, 1, (40, 1, 8, 8)).astype(np.float32)

    low, high = choose_ranges(network, Evidence(samples, run))["x"]

    assert low < -0.99
    assert high > 0.99


def test_every_tensor_gets_a_range_with_zero_in_it():
    build = Builder((2, 6, 6))
    network = build.network(build.dense(build.flatten(build.conv(build.conv("x", 4), 4, (1, 1))), 3))

    ranges = choose_ranges(network, evidence(network))

    assert set(ranges) == set(network.shapes)
    assert all(low <= 0 <= high for low, high in ranges.values())


@given(arrays.arrays(np.float64, 30, elements=st.floats(-50, 50)), st.floats(-40, 0), st.floats(0.1, 40))
def test_rounding_is_within_half_a_step_inside_the_range_and_saturates_outside(values, low, high):
    got = rounded(values, (low, high))

    step = (high - low) / 255
    inside = (values >= low) & (values <= high)
    assert (np.abs(got - values)[inside] <= step * 1.01).all()
    assert got.min() >= low - step
    assert got.max() <= high + step
