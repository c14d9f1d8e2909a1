"""The float comparison accepts rounding, refuses a changed model, and refuses to prove anything by constants."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_nan_is_refused():
    got = {**ANSWERS, "boxes": np.full_like(ANSWERS["boxes"], np.nan)}

    with pytest.raises(CheckFailed, match="differs from the source"):
        check_parity(ANSWERS, got, "the file")


def test_a_model_that_answers_always_the_same_proves_nothing():
    constant = {"scores": np.full((32, 10), 0.1, np.float32)}

    with pytest.raises(CheckFailed, match="answers the same to every input"):
        check_parity(constant, constant, "the file")
