"""The guard passes, fails or asks for more samples, on paired evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters import guard
from edge_converters.guard import Guard, Verdict, judge, proportion_bound, share_bound

GUARD = Guard(max_drop=0.01, slack=0.02)


def pairs(both: int, lost: int, won: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    source = np.repeat([1.0, 1.0, 0.0, 0.0], [both, lost, won, neither])
    variant = np.repeat([1.0, 0.0, 1.0, 0.0], [both, lost, won, neither])
    return source, variant


def test_a_variant_that_answers_alike_passes():
    judgement = judge(*pairs(380, 0, 0, 20), GUARD, proportion_bound)

    assert judgement.verdict is Verdict.PASS
    assert judgement.drop == 0
    assert judgement.n == 400


def test_a_variant_that_lost_too_much_fails():
    assert judge(*pairs(350, 30, 0, 20), GUARD, proportion_bound).verdict is Verdict.FAIL


def test_too_few_samples_are_undecidable_and_the_number_that_settles_it_is_said():
    source, variant = pairs(38, 0, 0, 2)
    judgement = judge(source, variant, GUARD, proportion_bound)

    assert judgement.verdict is Verdict.UNDECIDABLE
    assert judgement.needed is not None
    z2 = 1.6448536269514722**2
    assert judgement.needed == math.ceil(z2 * (1 / 0.03 - 1))  # z^2 / (n + z^2) <= 0.03


def test_the_number_needed_is_the_least_that_passes():
    source, variant = pairs(115, 2, 1, 2)
    judgement = judge(source, variant, GUARD, proportion_bound)

    assert judgement.verdict is Verdict.UNDECIDABLE
    assert judgement.needed is not None
    assert proportion_bound(source, variant, judgement.needed) <= 0.03
    assert proportion_bound(source, variant, judgement.needed - 1) > 0.03


def test_where_no_number_of_samples_would_settle_it_none_is_named():
    judgement = judge(*pairs(99, 0, 0, 1), Guard(max_drop=0, slack=0), proportion_bound)

    assert judgement.verdict is Verdict.UNDECIDABLE
    assert judgement.needed is None


def test_the_bound_without_any_difference_is_that_of_the_score_test():
    """With no discordant pair Tango's limit is z^2 / (n + z^2)."""
    z2 = 1.6448536269514722**2

    assert proportion_bound(*pairs(90, 0, 0, 10)) == pytest.approx(z2 / (100 + z2), abs=1e-6)


def test_the_bound_is_the_published_one(monkeypatch: pytest.MonkeyPatch):
    """The two-sided 95 % interval of 161 pairs of which 6 and 16 differ is -0.1240 to -0.0054.

    Cavo et al. 2012, by the package `contingencytables` of Fagerland, Lydersen, Laake, "Statistical Analysis of
    Contingency Tables", 2017, chapter 8.
    """
    monkeypatch.setattr(guard, "Z", 1.959963984540054)

    assert proportion_bound(*pairs(59, 6, 16, 80)) == pytest.approx(-0.0054, abs=5e-5)
    assert -proportion_bound(*pairs(59, 16, 6, 80)) == pytest.approx(-0.1240, abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 30), st.integers(0, 30), st.integers(1, 100))
def test_the_bound_lies_above_what_was_seen(both: int, lost: int, won: int, neither: int):
    source, variant = pairs(both, lost, won, neither)

    assert source.mean() - variant.mean() <= proportion_bound(source, variant) + 1e-9 <= 1 + 1e-9


def test_the_bound_holds_in_95_of_100_repetitions():
    rng = np.random.default_rng(3)
    losses = rng.multinomial(300, [0.85, 0.04, 0.03, 0.08], size=2000)
    held = np.mean([proportion_bound(*pairs(*row)) >= 0.01 for row in losses])

    assert 0.935 <= held <= 0.975


def test_shares_are_bounded_by_their_spread():
    rng = np.random.default_rng(5)
    source, variant = np.ones(40), 1 - rng.uniform(0, 0.01, 40)
    bound = share_bound(source, variant)

    assert source.mean() - variant.mean() < bound < 0.01
