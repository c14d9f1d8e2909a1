"""Layers are compared after the factor that fits each channel best: scaling is no error, rounding is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.layers import Energies, compare


@given(seed=st.integers(0, 999), level=st.integers(0, 60))
def test_the_error_is_told_in_decibels_below_the_signal(seed: int, level: int):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(1, 40, 40, 3))
    noise = rng.normal(size=source.shape) * 10 ** (-level / 20)
    energies = Energies(axis=-1)

    energies.add(source, source + noise)

    assert energies.decibels() == pytest.approx(10 * np.log10(1 + 10 ** (level / 10)), abs=0.5)


@given(seed=st.integers(0, 999), axis=st.sampled_from([1, -1]))
def test_a_factor_of_a_channel_is_no_error(seed: int, axis: int):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(1, 4, 5, 4))
    factors = rng.uniform(0.1, 10, 4).reshape((4, 1, 1) if axis == 1 else (4,))
    energies = Energies(axis)

    energies.add(source, source * factors)

    assert energies.decibels() is None


def test_layers_that_both_models_have_are_told_in_the_networks_order():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(8, 4, 4, 2))

    def source(x):
        return {"first": x, "pruned": x, "last": 2 * x, "number": np.float32(1)}

    def variant(x):
        return {"first": np.round(x * 4) / 4, "pruned": x[..., :1], "last": 6 * x, "number": np.float32(1)}

    layers = [("first", "CONV_2D"), ("fused", "RELU"), ("pruned", "CONV_2D"), ("number", "SHAPE"), ("last", "ADD")]
    found = compare(layers, -1, (source, variant), (samples, samples))

    assert [(each.name, each.operator) for each in found] == [("first", "CONV_2D"), ("last", "ADD")]
    assert found[0].decibels == pytest.approx(10 * np.log10(12 * 16), abs=1)
    assert found[1].decibels is None
