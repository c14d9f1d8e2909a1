"""The space of a profile: every point of it is a recipe that the profile's engine runs."""

from __future__ import annotations

import pytest

from edge_converters.recipe_files import parse
from edge_converters.recipes import Call, Recipe
from edge_converters.search.space import Point, Space
from edge_profiles.boards import load, shipped
from edge_profiles.profile import Profile

LAYERS = ("worst", "bad", "fair", "good", "best")


def recipe_at(space: Space, point: Point) -> Recipe:
    asked: list[str] = []

    def pick(axis, values):
        asked.append(axis)
        assert point[axis] in values
        return point[axis]

    recipe = space.draw(pick, lambda _: LAYERS)
    assert asked == list(point)
    return recipe


@pytest.mark.parametrize("profile", shipped(), ids=lambda profile: profile.name)
def test_every_point_is_another_recipe_that_a_file_could_hold(profile: Profile):
    space = Space(profile)

    recipes = [recipe_at(space, point) for point in space.points()]

    assert {recipe.scheme for recipe in recipes} == set(profile.schemes)
    assert len({recipe.digest for recipe in recipes[:200]}) >= min(len(recipes), 200) * 0.75
    assert all(parse(recipe.as_json()) == recipe for recipe in recipes[::37])


@pytest.mark.parametrize("profile", shipped(), ids=lambda profile: profile.name)
def test_a_search_begins_with_each_scheme_as_it_is(profile: Profile):
    space = Space(profile)

    assert [recipe_at(space, point) for point in space.plain()] == [Recipe(scheme) for scheme in profile.schemes]


def test_what_was_asked_for_begins_every_recipe_and_is_no_axis():
    asked = Call("prune-channels", (("share", 0.3),))
    space = Space(load("rpi4-litert"), (asked,))

    assert all(recipe_at(space, point).passes[0] == asked for point in space.points()[::50])
    assert all("channels" not in point for point in space.points())


def test_at_most_half_of_the_layers_stay_float_the_most_sensitive_ones():
    space = Space(load("rpi4-litert"))
    kept = {recipe_at(space, point).keep for point in space.points() if point.get("keep")}

    assert kept == {("worst",), ("worst", "bad")}


@pytest.mark.parametrize(("board", "proposed"), [("cortex-m4-stm32l4r5", {False, True}), ("rpi4-ort", {False})])
def test_one_scale_for_alike_layers_is_proposed_where_the_scheme_has_it(board: str, proposed: set[bool]):
    space = Space(load(board))

    assert {recipe_at(space, point).coarse for point in space.points()} == proposed
