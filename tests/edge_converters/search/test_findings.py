"""A search's front holds what nothing beats, and what is taken follows from the rule it states."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge_converters.recipes import Recipe
from edge_converters.search.findings import ALIKE, Costs, Found, Trial, best, choose
from edge_profiles.schemes import Scheme

SAMPLES = 100
MOST = 0.01


def trial(drop: float, time: float = 1.0, size: int = 1000, error: float = 0.0) -> Trial:
    return Trial(Recipe(Scheme.INT8), Costs(drop, error, time, size))


BROKEN = Trial(Recipe(Scheme.FP16), None, "the file has 10 bytes too many")

trials = st.lists(
    st.just(BROKEN)
    | st.builds(
        trial, st.sampled_from((-0.01, 0.0, 0.005, 0.02, 0.5)), st.floats(0.1, 2), st.integers(1, 9), st.floats(0, 3)
    ),
    max_size=12,
)


@given(trials)
def test_every_recipe_that_ran_is_on_the_front_or_beaten_by_one_of_it(tried: list[Trial]):
    front = best(tried, SAMPLES)

    for place, each in enumerate(tried):
        if each.costs is not None and place not in front:
            assert any(no_worse(tried[other].costs, each.costs) for other in front)
    assert all(tried[place].costs is not None for place in front)
    assert bool(front) == any(each.costs is not None for each in tried)


def no_worse(one: Costs | None, other: Costs) -> bool:
    assert one is not None
    return one.loss(SAMPLES) <= other.loss(SAMPLES) and one.time <= other.time and one.size_bytes <= other.size_bytes


@given(trials)
def test_what_is_taken_keeps_the_accuracy_if_anything_does_and_none_that_does_is_much_faster(tried: list[Trial]):
    front = best(tried, SAMPLES)

    taken = choose(tried, front, SAMPLES, MOST)

    if taken is None:
        assert not front
        return
    costs = tried[taken].costs
    good = [each.costs for each in tried if each.costs is not None and each.costs.drop <= MOST]
    assert costs is not None
    assert taken in front
    assert (costs.drop <= MOST) == bool(good)
    if good:
        assert all(costs.time <= each.time * ALIKE for each in good)
    else:
        assert all(costs.drop <= each.costs.drop for each in tried if each.costs is not None)


def test_of_recipes_that_are_as_fast_the_smaller_is_taken():
    tried = [trial(0.0, 1.0, 5000), trial(0.005, 1.03, 3000), trial(0.004, 2.0, 100), trial(0.3, 0.1, 50)]

    assert choose(tried, best(tried, SAMPLES), SAMPLES, MOST) == 1


def test_equal_drops_are_told_apart_by_how_far_the_answers_lie_apart_and_by_less_than_a_sample():
    near, far = Costs(0.02, 0.1, 1, 1), Costs(0.02, 50.0, 1, 1)

    assert near.loss(SAMPLES) < far.loss(SAMPLES) < Costs(0.02 + 0.5 / SAMPLES, 0.0, 1, 1).loss(SAMPLES)


def test_what_was_found_survives_the_cache():
    tried = (trial(0.0), BROKEN, trial(0.02, 0.5))
    found = Found("tpe", "study/board", 4, "ms", tried, best(tried, SAMPLES), 0)
    kind = TypeAdapter(Found)

    assert kind.validate_python(json.loads(kind.dump_json(found))) == found
