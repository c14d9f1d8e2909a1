"""The scheme is chosen by ranking, and the words for what came of it say what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.explanations import what_to_do
from edge_converters.guard import Guard, Judgement, Verdict
from edge_converters.ladder import GiveUp, Rung, Step, Take, Try, next_step, verdict_of
from edge_converters.reports import Candidate
from edge_profiles.schemes import Scheme

LADDER = (Scheme.INT8, Scheme.DYNAMIC, Scheme.FP16, Scheme.FP32)
MOST = 0.01


def climbed(drops: list[float | None]) -> tuple[Step, int]:
    """The end of the climb where the schemes lose `drops` in ranking, and how many were made."""
    tried: list[Rung] = []
    while isinstance(step := next_step(LADDER[: len(drops)], tried, MOST), Try):
        tried.append(Rung(step.scheme, drops[len(tried)]))
    return step, len(tried)


ENDS = {
    "the first is good": ([0.0, 0.0, 0.0, 0.0], Take(Scheme.INT8, gentler=True), 1),
    "gains are good": ([-0.02, 0.0, 0.0, 0.0], Take(Scheme.INT8, gentler=True), 1),
    "the third is good": ([0.3, None, 0.01, 0.0], Take(Scheme.FP16, gentler=True), 3),
    "the last is good": ([0.3, 0.02, 0.02, 0.0], Take(Scheme.FP32, gentler=False), 4),
    "none is good": ([0.3, 0.02, 0.05], Take(Scheme.DYNAMIC, gentler=False), 3),
    "alike: the earlier": ([0.02, 0.02], Take(Scheme.INT8, gentler=False), 2),
    "all but one broke a check": ([None, 0.5, None], Take(Scheme.DYNAMIC, gentler=False), 3),
    "all broke a check": ([None, None], GiveUp(), 2),
}


@pytest.mark.parametrize(("drops", "end", "made"), ENDS.values(), ids=ENDS.keys())
def test_the_first_that_is_good_in_ranking_is_taken_else_the_least_loss(drops, end, made):
    assert climbed(drops) == (end, made)


@given(st.lists(st.none() | st.floats(-1, 1), min_size=1, max_size=4))
def test_what_is_taken_ran_and_nothing_before_it_was_good(drops: list[float | None]):
    step, made = climbed(drops)

    if isinstance(step, Take):
        place = LADDER.index(step.scheme)
        taken = drops[place]
        assert taken is not None
        assert all(drop is None or drop > MOST for drop in drops[:place])
        assert taken <= MOST or taken == min(drop for drop in drops if drop is not None)
        assert step.gentler == (made < len(drops))
    else:
        assert drops == [None] * made


def test_a_loss_with_no_scheme_left_is_unreachable_and_otherwise_a_failure():
    assert verdict_of(Verdict.FAIL, gentler=False) is Verdict.UNREACHABLE
    assert verdict_of(Verdict.FAIL, gentler=True) is Verdict.FAIL
    assert verdict_of(Verdict.UNDECIDABLE, gentler=False) is Verdict.UNDECIDABLE


def decided(verdict: Verdict, drop: float = 0.004, bound: float = 0.04, needed: int | None = None) -> Candidate:
    return Candidate("int8", verdict, "", judgement=Judgement(verdict, 1.0, 1 - drop, drop, bound, 70, needed))


ADVICE = {
    "passed": (decided(Verdict.PASS), (), ""),
    "too few": (
        decided(Verdict.UNDECIDABLE, needed=140),
        (),
        "Give about 200 evaluation samples, of which the decision takes 140 (ranking takes the rest); or accept",
    ),
    "never enough": (
        decided(Verdict.UNDECIDABLE),
        (),
        "No number of samples would settle it: only --slack 0.03 would.",
    ),
    "gentler left": (
        decided(Verdict.FAIL, 0.03),
        ("fp16", "fp32"),
        'says schemes = ["fp16", "fp32"], and with evaluat',
    ),
    "none left": (decided(Verdict.FAIL, 0.0304), (), "allow it by --max-drop 0.031, give calibration data"),
    "broke a check": (Candidate("int8", Verdict.FAIL, "no kernel", "Replace it."), (), "Replace it."),
}


@pytest.mark.parametrize(("best", "untried", "words"), ADVICE.values(), ids=ADVICE.keys())
def test_the_advice_names_the_numbers(best: Candidate, untried: tuple[str, ...], words: str):
    said = what_to_do(best, untried, Guard(max_drop=0.01, slack=0.02))

    assert words in said
    assert bool(said) == bool(words)
