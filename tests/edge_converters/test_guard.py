"""The guard passes, fails or asks for more samples, on paired evidence, over all samples and slice by slice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters import paired
from edge_converters.guard import Guard, Judgement, Verdict, judge
from edge_converters.paired import Means, Proportions, Resampled, from_parts, from_scores
from edge_converters.slices import holm, judge_slices, memberships

GUARD = Guard(max_drop=0.01, slack=0.02)
Z2 = 1.6448536269514722**2


def pairs(both: int, lost: int, won: int, neither: int) -> Proportions:
    source = np.repeat([1.0, 1.0, 0.0, 0.0], [both, lost, won, neither])
    variant = np.repeat([1.0, 0.0, 1.0, 0.0], [both, lost, won, neither])
    found = from_scores(source, variant)
    assert isinstance(found, Proportions)
    return found


def upper(evidence: Proportions | Means | Resampled) -> float:
    return evidence.upper(evidence.n)


def doubt(evidence: Proportions | Means | Resampled, limit: float) -> float:
    return evidence.doubt(limit, evidence.n)


def test_a_variant_that_answers_alike_passes():
    judgement = judge(pairs(380, 0, 0, 20), GUARD)

    assert judgement.verdict is Verdict.PASS
    assert judgement.drop == 0
    assert judgement.n == 400


def test_a_variant_that_lost_too_much_fails():
    assert judge(pairs(350, 30, 0, 20), GUARD).verdict is Verdict.FAIL


def test_too_few_samples_are_undecidable_and_the_number_that_settles_it_is_said():
    judgement = judge(pairs(38, 0, 0, 2), GUARD)

    assert judgement.verdict is Verdict.UNDECIDABLE
    assert judgement.needed is not None
    assert judgement.needed == math.ceil(Z2 * (1 / 0.03 - 1))  # z^2 / (n + z^2) <= 0.03


def test_the_number_needed_is_the_least_that_passes():
    evidence = pairs(115, 2, 1, 2)
    judgement = judge(evidence, GUARD)

    assert judgement.verdict is Verdict.UNDECIDABLE
    assert judgement.needed is not None
    assert evidence.upper(judgement.needed) <= 0.03
    assert evidence.upper(judgement.needed - 1) > 0.03


def test_where_no_number_of_samples_would_settle_it_none_is_named():
    judgement = judge(pairs(99, 0, 0, 1), Guard(max_drop=0, slack=0))

    assert judgement.verdict is Verdict.UNDECIDABLE
    assert judgement.needed is None


def test_the_bound_without_any_difference_is_that_of_the_score_test():
    """With no discordant pair Tango's limit is z^2 / (n + z^2)."""
    assert upper(pairs(90, 0, 0, 10)) == pytest.approx(Z2 / (100 + Z2), abs=1e-6)


def test_the_bound_is_the_published_one(monkeypatch: pytest.MonkeyPatch):
    """The two-sided 95 % interval of 161 pairs of which 6 and 16 differ is -0.1240 to -0.0054.

    Cavo et al. 2012, by the package `contingencytables` of Fagerland, Lydersen, Laake, "Statistical Analysis of
    Contingency Tables", 2017, chapter 8.
    """
    monkeypatch.setattr(paired, "Z", 1.959963984540054)

    assert upper(pairs(59, 6, 16, 80)) == pytest.approx(-0.0054, abs=5e-5)
    assert -upper(pairs(59, 16, 6, 80)) == pytest.approx(-0.1240, abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 30), st.integers(0, 30), st.integers(1, 100))
def test_the_bound_lies_above_what_was_seen(both: int, lost: int, won: int, neither: int):
    evidence = pairs(both, lost, won, neither)

    assert evidence.drop <= upper(evidence) + 1e-9 <= 1 + 1e-9


def test_the_bound_holds_in_95_of_100_repetitions():
    rng = np.random.default_rng(3)
    losses = rng.multinomial(300, [0.85, 0.04, 0.03, 0.08], size=2000)
    held = np.mean([upper(pairs(*row)) >= 0.01 for row in losses])

    assert 0.935 <= held <= 0.975


def test_shares_are_bounded_by_their_spread():
    rng = np.random.default_rng(5)
    evidence = from_scores(np.ones(40), 1 - rng.uniform(0, 0.01, 40))

    assert evidence.drop < upper(evidence) < 0.01


def test_a_drop_that_few_samples_cannot_show_is_no_failure_yet():
    """One of 35 is 2.9 points, but a variant that loses 0.2 points can well do so in one draw."""
    strict = Guard(max_drop=0.002, slack=0)
    one, six = judge(pairs(34, 1, 0, 0), strict), judge(pairs(29, 6, 0, 0), strict)

    assert one.verdict is Verdict.UNDECIDABLE
    assert one.needed is not None
    assert 35 < one.needed < 200
    assert six.verdict is Verdict.FAIL


@given(st.integers(1, 12))
def test_where_all_are_lost_the_doubt_is_that_of_as_many_coins(n: int):
    """What is likeliest to lose all and still be at 3 points wins nearly as often as it loses."""
    assert doubt(pairs(0, n, 0, 0), 0.03) == pytest.approx(0.515**n)


def test_what_is_at_the_limit_is_called_over_it_in_at_most_5_of_100_draws():
    rng = np.random.default_rng(8)
    for n in (23, 150):
        drawn = rng.multinomial(n, [0.84, 0.05, 0.02, 0.09], size=2000)[:, 1:3]
        seen, times = np.unique(drawn, axis=0, return_counts=True)
        over = [doubt(pairs(n - lost - won, lost, won, 0), 0.03) < 0.05 for lost, won in seen]
        assert times[over].sum() / times.sum() <= 0.06


def test_costs_that_were_not_seen_are_not_taken_for_none():
    """Errors that cost a fifth and a whole: none differs in 100 samples, and one in 40 might still be lost."""
    costs = 1 - np.random.default_rng(1).choice([0.0, 0.2, 1.0], 100, p=[0.9, 0.05, 0.05])

    assert upper(from_scores(costs, costs)) == pytest.approx(0.026, abs=0.001)
    assert judge(from_scores(costs, costs), Guard(0.005, 0.005)).verdict is Verdict.UNDECIDABLE


def test_agreement_in_every_element_of_few_answers_is_enough():
    """A detector's twelve pictures of 26,000 values each, all alike."""
    assert judge(from_scores(np.ones(12), np.ones(12), sparse=False), GUARD).verdict is Verdict.PASS


def test_rare_heavy_losses_stay_below_the_bound_in_about_95_of_100_draws():
    rng = np.random.default_rng(2)
    lost = rng.choice([0.0, 1.0, 0.2, -0.2], (1500, 250), p=[0.965, 0.01, 0.015, 0.01])
    held = np.mean(
        [upper(from_scores(np.full(250, 0.5) + row / 2, np.full(250, 0.5) - row / 2)) >= 0.011 for row in lost]
    )

    assert held >= 0.935


@pytest.mark.parametrize(("n", "width"), [(60, 0.28), (240, 0.14)])
def test_a_value_of_a_whole_set_is_bounded_by_the_bootstrap(n: int, width: float):
    """The spread of normal values of deviation 1 / 0.6: the bound is at about 1.645 of their mean's."""
    losses = np.random.default_rng(4).normal(0, width * math.sqrt(n) / 1.645, n)
    evidence = Resampled(1.0, 1.0, float(losses.mean()), n, lambda rows: float(losses[rows].mean()))

    assert upper(evidence) - losses.mean() == pytest.approx(width, rel=0.2)
    assert upper(evidence) == upper(Resampled(1.0, 1.0, evidence.drop, n, evidence.lost))
    assert evidence.upper(4 * n) - evidence.drop == pytest.approx((upper(evidence) - evidence.drop) / 2)


def test_a_value_of_a_whole_set_that_no_sample_moved_is_bounded_as_a_proportion_is():
    evidence = Resampled(0.8, 0.8, 0.0, 100, lambda rows: 0.0, effective=100)

    assert upper(evidence) == pytest.approx(upper(pairs(80, 0, 0, 20)))


def test_an_area_is_as_sure_as_its_smaller_class():
    """No placement differs among 20 anomalies: one in eight might."""
    assert upper(from_parts(0.9, 0.9, np.zeros(1000), effective=20, equal=True)) == pytest.approx(0.13, abs=0.01)


def sliced(lost: dict[int, int], each: int = 23, count: int = 12, guard: Guard = GUARD) -> Judgement:
    """`count` classes of `each` samples, of which class k lost `lost[k]`."""
    group = np.repeat(np.arange(count), each)
    source, variant = np.ones(len(group)), np.ones(len(group))
    for name, wrong in lost.items():
        variant[np.flatnonzero(group == name)[:wrong]] = 0
    slices = judge_slices(source, variant, memberships({"class": group}), guard)
    return judge(from_scores(source, variant), guard, slices)


def test_a_class_that_collapsed_fails_a_variant_whose_mean_is_fine():
    judgement = sliced({7: 12}, count=100)

    assert judgement.drop < 0.01
    assert judgement.verdict is Verdict.FAIL
    assert [(each.name, each.n) for each in judgement.failed_slices] == [("class 7", 23)]
    assert judgement.worst_drop == pytest.approx(12 / 23)


def test_slices_too_small_to_tell_stop_nothing():
    judgement = sliced({7: 1})

    assert judgement.verdict is Verdict.PASS
    assert {each.verdict for each in judgement.slices} == {Verdict.UNDECIDABLE}


def test_large_slices_are_told_to_be_fine():
    assert {each.verdict for each in sliced({7: 1}, each=200).slices} == {Verdict.PASS}


def test_few_samples_fail_a_slice_only_together():
    assert [each.name for each in sliced({0: 3}, each=3, count=10).failed_slices] == ["class 0"]
    assert sliced({0: 2}, each=3, count=10).failed_slices == ()
    assert sliced({0: 1}, each=1, count=200).slices == ()


def test_the_limit_of_a_slice_is_three_times_the_drop_or_as_given():
    assert Guard(0.02).slice_limit == pytest.approx(0.06)
    assert sliced({7: 12}, count=100, guard=Guard(0.01, 0.02, slice_max_drop=0.6)).verdict is Verdict.PASS


def test_a_group_is_caught_by_its_name_beside_the_classes():
    rng = np.random.default_rng(6)
    sensors = np.where(rng.random(2000) < 0.04, "cheap", "good")
    source, variant = np.ones(2000), np.float64((sensors == "good") | (rng.random(2000) < 0.8))
    groups = memberships({"class": rng.integers(0, 10, 2000), "sensor": sensors})
    judged = judge_slices(source, variant, groups, GUARD)

    assert [each.name for each in judged if each.verdict is Verdict.FAIL] == ["sensor cheap"]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_looking_at_more_slices_never_makes_one_less_doubtful(doubts: list[float]):
    adjusted = holm(doubts)

    assert all(after >= before for before, after in zip(doubts, adjusted, strict=True))
    assert max(adjusted, default=0) <= 1
    order = np.argsort(doubts, kind="stable")
    assert sorted(adjusted) == [adjusted[place] for place in order]


def test_holms_values_are_the_published_ones():
    """S. Holm's procedure by the worked example of R's `p.adjust`, method holm: 0.01, 0.02, 0.03, 0.04, 0.05."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
