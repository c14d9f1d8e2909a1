"""The scheme is chosen by ranking, and the words for what came of it say what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.errors import BadInput
from edge_converters.explanations import Untried, what_to_do
from edge_converters.guard import Guard, Judgement, Verdict
from edge_converters.ladder import Budget, Climb, GiveUp, Rung, Step, Take, Try, next_step, verdict_of
from edge_converters.recipes import MIXABLE, Call, Mixed, Recipe, rungs
from edge_converters.reports import Candidate
from edge_converters.search.plans import SearchPlan
from edge_profiles.boards import load, shipped
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

INT8, DYNAMIC, FP16, FP32 = LADDER = tuple(
    Recipe(scheme) for scheme in (Scheme.INT8, Scheme.DYNAMIC, Scheme.FP16, Scheme.FP32)
)
MOST = 0.01


def climbed(drops: list[float | None]) -> tuple[Step, int]:
    """The end of the climb where the schemes lose `drops` in ranking, and how many were made."""
    tried: list[Rung] = []
    while isinstance(step := next_step(LADDER[: len(drops)], tried, MOST), Try):
        tried.append(Rung(LADDER[len(tried)], drops[len(tried)]))
    return step, len(tried)


ENDS = {
    "the first is good": ([0.0, 0.0, 0.0, 0.0], Take(INT8, gentler=True), 1),
    "gains are good": ([-0.02, 0.0, 0.0, 0.0], Take(INT8, gentler=True), 1),
    "the third is good": ([0.3, None, 0.01, 0.0], Take(FP16, gentler=True), 3),
    "the last is good": ([0.3, 0.02, 0.02, 0.0], Take(FP32, gentler=False), 4),
    "none is good": ([0.3, 0.02, 0.05], Take(DYNAMIC, gentler=False), 3),
    "alike: the earlier": ([0.02, 0.02], Take(INT8, gentler=False), 2),
    "all but one broke a check": ([None, 0.5, None], Take(DYNAMIC, gentler=False), 3),
    "all broke a check": ([None, None], GiveUp(), 2),
}


@pytest.mark.parametrize(("drops", "end", "made"), ENDS.values(), ids=ENDS.keys())
def test_the_first_that_is_good_in_ranking_is_taken_else_the_least_loss(drops, end, made):
    assert climbed(drops) == (end, made)


@given(st.lists(st.none() | st.floats(-1, 1), min_size=1, max_size=4))
def test_what_is_taken_ran_and_nothing_before_it_was_good(drops: list[float | None]):
    step, made = climbed(drops)

    if isinstance(step, Take):
        place = LADDER.index(step.recipe)
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
    "passed": (decided(Verdict.PASS), Untried(), ""),
    "too few": (
        decided(Verdict.UNDECIDABLE, needed=140),
        Untried(),
        "Give about 200 evaluation samples, of which the decision takes 140 (ranking takes the rest); or accept",
    ),
    "never enough": (
        decided(Verdict.UNDECIDABLE),
        Untried(),
        "No number of samples would settle it: only --slack 0.03 would.",
    ),
    "gentler left": (
        decided(Verdict.FAIL, 0.03),
        Untried(schemes=("fp16", "fp32")),
        'says schemes = ["fp16", "fp32"], and with evaluat',
    ),
    "more effort left": (decided(Verdict.FAIL, 0.03), Untried(2, ("fp16",)), "convert with --effort 2, and with evalu"),
    "none left": (decided(Verdict.FAIL, 0.0304), Untried(), "allow it by --max-drop 0.031, give calibration data"),
    "broke a check": (Candidate("int8", Verdict.FAIL, "no kernel", "Replace it."), Untried(), "Replace it."),
}


@pytest.mark.parametrize(("best", "untried", "words"), ADVICE.values(), ids=ADVICE.keys())
def test_the_advice_names_the_numbers(best: Candidate, untried: Untried, words: str):
    said = what_to_do(best, untried, Guard(max_drop=0.01, slack=0.02))

    assert words in said
    assert bool(said) == bool(words)


def test_a_scheme_is_mended_before_a_gentler_one_is_tried():
    assert [str(plan) for plan in rungs(load("rpi4-litert"))] == [
        "int8",
        "int8 + best ranges",
        "int8 + equalise + correct-biases + best ranges",
        "int8 + equalise + round-weights + best ranges",
        "int8 + one scale for dense layers of alike channels",
        "int8 + some layers kept in float",
        "dynamic",
        "fp16",
        "fp32",
    ]


@pytest.mark.parametrize("profile", shipped(), ids=lambda profile: profile.name)
def test_layers_stay_float_only_where_the_target_has_kernels_for_both(profile: Profile):
    mixed = [plan.base.scheme for plan in rungs(profile) if isinstance(plan, Mixed)]

    assert set(mixed) == (set(profile.schemes) & MIXABLE if profile.profile_class == "cpu" else set())


def test_what_the_user_asked_for_comes_first_in_every_rung_and_effort_leaves_cheap_ones_out():
    asked = Call("prune", (("sparsity", 0.5),))

    tried = rungs(load("rpi4-litert"), first=(asked,), effort=2)

    recipes = [plan.base if isinstance(plan, Mixed) else plan for plan in tried]
    assert all(recipe.passes[0] == asked for recipe in recipes)
    assert [recipe.scheme for recipe in recipes] == ["int8", "int8", "int8", "int8", "dynamic", "fp16", "fp32"]
    assert isinstance(rungs(load("rpi4-litert"), effort=9)[2], Mixed)


def test_own_recipes_take_the_place_of_the_ladder_where_the_engine_runs_them():
    climb = Climb(own=(INT8, FP16, Recipe(Scheme.QDQ_U8S8)))

    assert climb.plans(load("rpi4-litert")) == (INT8, FP16)
    assert climb.plans(load("cortex-m4-stm32l4r5")) == (INT8,)
    assert climb.plans(load("jetson-orin-nano-cuda")) == (FP16,)


@pytest.mark.parametrize(
    "ignored",
    [
        {"own": (INT8,), "first": (Call("prune", (("sparsity", 0.5),)),)},
        {"own": (INT8,), "effort": 1},
        {"own": (INT8,), "search": SearchPlan(3)},
        {"search": SearchPlan(3), "effort": 1},
    ],
)
def test_a_climb_of_which_a_part_would_be_ignored_is_refused(ignored):
    with pytest.raises(BadInput) as refusal:
        Climb(**ignored)
    assert refusal.value.hint.startswith("Leave")


def test_past_its_budget_the_climb_takes_what_lost_least():
    tried = [Rung(INT8, 0.2), Rung(DYNAMIC, 0.1)]

    assert next_step(LADDER, tried, MOST, Budget(seconds=60), spent=61) == Take(DYNAMIC, gentler=True)
    assert next_step(LADDER, tried, MOST, Budget(evaluations=2)) == Take(DYNAMIC, gentler=True)
    assert next_step(LADDER, [], MOST, Budget(seconds=0), spent=1) == Try(INT8)
