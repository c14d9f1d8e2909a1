"""The float comparison accepts rounding, refuses a changed model, and refuses to prove anything by constants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers

from edge_converters.errors import CheckFailed
from edge_converters.parity import check_parity

RNG = np.random.default_rng(2)
ANSWERS = {"scores": RNG.normal(size=(32, 10)).astype(np.float32), "boxes": RNG.normal(size=(32, 4)).astype(np.float32)}


def test_rounding_is_accepted():
    got = {name: values + np.float32(1e-6) for name, values in ANSWERS.items()}

    assert check_parity(ANSWERS, got, "the file") < 1e-5


@pytest.mark.parametrize("output", ANSWERS)
def test_a_difference_in_one_output_is_refused(output):
    got = {**ANSWERS, output: ANSWERS[output] * np.float32(1.05)}

    with pytest.raises(CheckFailed, match="the file differs from the source by"):
        check_parity(ANSWERS, got, "the file")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_on_one_side_is_refused_and_counted(value):
    broken = ANSWERS["boxes"].copy()
    broken[3, 1] = value

    with pytest.raises(CheckFailed, match=r"the file answers NaN or infinity in 'boxes' to 1 of 32 inputs, the source"):
        check_parity(ANSWERS, {**ANSWERS, "boxes": broken}, "the file")
    with pytest.raises(CheckFailed, match=r"the source itself answers NaN or infinity in 'boxes' to 1 of 32 inputs"):
        check_parity({**ANSWERS, "boxes": broken}, {**ANSWERS, "boxes": broken}, "the file")


def test_another_layout_is_refused_even_where_only_the_order_tells():
    maps = RNG.normal(size=(16, 4, 4, 4)).astype(np.float32)

    with pytest.raises(CheckFailed, match=r"differs from the source by .* in 'map'"):
        check_parity({"map": maps}, {"map": maps.transpose(0, 2, 3, 1)}, "the file")
    with pytest.raises(CheckFailed, match=r"gives 'map' in the shape \(2, 4, 8\), the source in \(4, 4, 4\)"):
        check_parity({"map": maps}, {"map": maps.reshape(16, 2, 4, 8)}, "the file")


@settings(deadline=None)
@given(arrays(np.float32, (8, 3), elements=integers(-(10**6), 10**6), unique=True), integers(0, 7), integers(0, 2))
def test_whatever_one_value_becomes_it_is_seen(answers, row, column):
    changed = answers.copy()
    changed[row, column] += np.ptp(answers) / 100

    with pytest.raises(CheckFailed, match="differs from the source"):
        check_parity({"y": answers}, {"y": changed}, "the file")


def test_a_model_that_answers_always_the_same_proves_nothing():
    constant = {"scores": np.full((32, 10), 0.1, np.float32)}

    with pytest.raises(CheckFailed, match="answers the same to every input"):
        check_parity(constant, constant, "the file")
