"""What is said of slices, of the test split and of data that does not fit: names and numbers, no more than needed."""

from __future__ import annotations

import pytest

from edge_contracts.manifest import Preprocessing
from edge_converters import explanations
from edge_converters.guard import Guard, Judgement, SliceJudgement, Verdict

GUARD = Guard(0.01, 0.02)


def one(name: str, drop: float, verdict: Verdict, n: int = 23) -> SliceJudgement:
    return SliceJudgement(name, n, 0.9, 0.9 - drop, drop, drop + 0.1, verdict)


def judged(*slices: SliceJudgement, verdict: Verdict = Verdict.PASS) -> Judgement:
    return Judgement(verdict, 0.9, 0.895, 0.005, 0.02, 300, slices=slices)


def test_nothing_is_said_where_all_slices_are_fine():
    assert explanations.slices(judged(one("class 0", 0.0, Verdict.PASS)), GUARD) == ""


def test_a_slice_that_failed_is_named_with_its_loss_the_worst_first():
    slices = [one("class 1", 0.3, Verdict.FAIL), one("sensor b", 0.5, Verdict.FAIL), one("class 2", 0, Verdict.PASS)]
    judgement = judged(*slices, verdict=Verdict.FAIL)

    said = explanations.slices(judgement, GUARD)
    assert said == (
        "slices that lost more than the 3.00 points a slice may lose: sensor b +50.00 (n = 23), class 1 +30.00 (n = 23)"
    )
    assert explanations.decided(judgement, GUARD).endswith(said)


def test_slices_that_cannot_be_told_are_counted_and_those_that_seem_to_lose_are_named():
    slices = [one(f"class {k}", 0.0, Verdict.UNDECIDABLE, n=20 + k) for k in range(10)]
    said = explanations.slices(judged(*slices, one("class up", 0.087, Verdict.UNDECIDABLE)), GUARD)

    assert "by too few samples to tell: class up +8.70 (n = 23)" in said
    assert "11 of 11 slices have too few samples to exclude a drop of 5.00 points (the smallest: 20)" in said


def test_many_slices_are_not_all_named():
    said = explanations.slices(judged(*(one(f"class {k}", 0.5, Verdict.FAIL) for k in range(40))), GUARD)

    assert said.count("class") == 5
    assert said.endswith("and 35 more")


def test_a_slice_that_failed_in_ranking_is_said_there():
    said = explanations.ranked(judged(one("class 1", 0.3, Verdict.FAIL), verdict=Verdict.FAIL), GUARD)

    assert "within the 1.00 allowed; slices that lost" in said


@pytest.mark.parametrize(
    ("error", "words"), [(False, "90.00% before, 89.50% after"), (True, "0.9 before, 0.895 after")]
)
def test_the_test_splits_figures_are_in_the_metrics_own_units(error: bool, words: str):
    said = explanations.tested(judged(), GUARD, error)

    assert words in said
    assert "drop +0.50 points, at most 2.00 with 95 % confidence" in said


def test_other_data_is_prepared_anew():
    assert "--offset 83 --scale 0.5 are applied to both" in explanations.other_data(Preprocessing(offset=83, scale=0.5))
