"""What a user reads of weights that were taken away: what went, what it cost, whether that made anything faster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_converters.gains import CONCLUSIONS, Found, Gain, Lesser, Taken, sentences
from edge_converters.guard import Verdict
from edge_converters.timings import Comparison, Speed

FASTER = Comparison(0.9, 0.88, 0.92, 0.02, Speed.GAIN, 4, 8)
PASSED = Gain(("prune-channels (share 0.2)",), Taken(0.21, 0.18), FASTER, Verdict.PASS, 0.004, -0.001)
FAILED = replace(PASSED, verdict=Verdict.UNREACHABLE, drop=0.03)


def test_what_went_and_what_it_cost_is_said_first():
    first, *_ = sentences(PASSED, 0.01)

    assert first == (
        "taken away by prune-channels (share 0.2): 21.0% of the multiplications and 18.0% of the weights; drop in "
        "ranking +0.40 points, of the same recipe without it -0.10"
    )


SLOWER = replace(FASTER, ratio=1.0, low=0.99, high=1.01, verdict=Speed.NO_DIFFERENCE)
RESTLESS = replace(FASTER, ratio=0.95, low=0.8, high=1.1, aa_spread=0.3, verdict=Speed.NO_DIFFERENCE)
TIMES = {Found.FASTER: FASTER, Found.NOT_FASTER: SLOWER, Found.NOISE: RESTLESS, Found.UNMEASURED: None}


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize(("seen", "time"), TIMES.items(), ids=TIMES.keys())
def test_only_what_is_faster_and_passed_is_a_speed_up(verdict: Verdict, seen: Found, time: Comparison | None):
    passed = verdict is Verdict.PASS

    _, said = sentences(replace(PASSED, verdict=verdict, comparison=time), 0.01)

    assert said.endswith(CONCLUSIONS[passed, seen])
    assert said.endswith("a speed-up at equal guard") == (passed and seen is Found.FASTER)
    assert ("no speed-up is to be had" in said) == (not passed or seen is Found.NOT_FASTER)


def test_the_largest_smaller_share_that_may_do_is_advised():
    gain = replace(FAILED, lesser=(Lesser(0.15, 0.02), Lesser(0.1, 0.01)))

    *_, said = sentences(gain, 0.01)

    assert said.startswith("drop in ranking of smaller shares: 0.15 +2.00, 0.1 +1.00. Ask for 0.1,")


@pytest.mark.parametrize("last", [0.011, None])
def test_where_no_share_does_that_is_said(last: float | None):
    gain = replace(FAILED, lesser=(Lesser(0.15, 0.02), Lesser(0.05, last)))

    *_, said = sentences(gain, 0.01)

    assert said.endswith("None of them keeps the guard: by taking channels away no speed-up is to be had here")


def test_zeros_that_save_no_multiplication_are_weights_alone():
    gain = replace(PASSED, passes=("prune (sparsity 0.5, pattern 2:4)",), taken=Taken(0.0, 0.5), whole_drop=None)

    said, _ = sentences(gain, 0.01)

    assert "(sparsity 0.5, pattern 2:4): 50.0% of the weights; drop" in said
    assert said.endswith("of the same recipe without it a check failed")
