"""What a user reads of weights that were taken away: what went, what it cost, whether that made anything faster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_converters.gains import CONCLUSIONS, UNMEASURED, Gain, Lesser, Taken, sentences
from edge_converters.guard import Verdict
from edge_converters.timings import Comparison, Speed

FASTER = Comparison(0.9, 0.88, 0.92, 0.02, Speed.GAIN, 4, 8)
PASSED = Gain(("prune-channels (share 0.2)",), Taken(0.21, 0.18), FASTER, Verdict.PASS, 0.004, -0.001)
FAILED = replace(PASSED, verdict=Verdict.UNREACHABLE, drop=0.03)


def test_what_went_and_what_it_cost_is_said_first():
    first, *_ = sentences(PASSED, 0.01)

    assert first == (
        "prune-channels (share 0.2) took away 21.0% of the multiplications and 18.0% of the weights; drop in ranking "
        "+0.40 points, of the same recipe without it -0.10"
    )


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("speed", Speed)
def test_only_what_is_faster_and_passed_is_a_speed_up(verdict: Verdict, speed: Speed):
    gain = replace(PASSED, verdict=verdict, comparison=replace(FASTER, verdict=speed))

    _, said = sentences(gain, 0.01)

    won = verdict is Verdict.PASS and speed is Speed.GAIN
    assert said.endswith(CONCLUSIONS[verdict is Verdict.PASS, speed is Speed.GAIN])
    assert said.endswith("a speed-up at equal guard") == won
    assert ("no speed-up is to be had" in said) == (not won)


@pytest.mark.parametrize("passed", UNMEASURED)
def test_without_a_measurement_nothing_is_promised(passed: bool):
    gain = replace(PASSED if passed else FAILED, comparison=None)

    assert sentences(gain, 0.01)[1] == UNMEASURED[passed]


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

    assert "took away 50.0% of the weights; drop" in said
    assert said.endswith("of the same recipe without it a check failed")
