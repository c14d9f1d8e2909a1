"""Recipes as files: what is read is what was written, and what is wrong is named with what was meant."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.errors import BadInput
from edge_converters.passes.table import PASSES, Choice, Share
from edge_converters.recipe_files import as_toml, parse, read_recipe
from edge_converters.recipes import CALIBRATED, MIXABLE, Call, Ranges, Recipe, rungs
from edge_profiles.boards import shipped
from edge_profiles.schemes import Scheme

VALUES = {
    Share: lambda _: st.floats(0, 1, exclude_min=True, exclude_max=True),
    Choice: lambda parameter: st.sampled_from(parameter.words),
}


@st.composite
def calls(draw: st.DrawFn) -> Call:
    name = draw(st.sampled_from(sorted(PASSES)))
    values = {key: draw(VALUES[type(each)](each)) for key, each in PASSES[name].parameters.items()}
    return Call(name, tuple(values.items()))


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    scheme = draw(st.sampled_from(Scheme))
    ranges = draw(st.sampled_from(Ranges)) if scheme in CALIBRATED else Ranges.MIN_MAX
    names = st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), unique=True, max_size=3)
    keep = draw(names) if scheme in MIXABLE else []
    return Recipe(scheme, tuple(draw(st.lists(calls(), max_size=3))), ranges, tuple(keep))


@given(recipe=recipes())
def test_a_recipe_survives_its_file(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("recipe") / "own.toml"
    path.write_text(as_toml(recipe), encoding="utf-8")

    assert read_recipe(path) == recipe
    assert parse(recipe.as_json()) == recipe


def test_every_recipe_of_every_ladder_can_be_written_and_read(tmp_path: Path):
    for recipe in {plan for profile in shipped() for plan in rungs(profile) if isinstance(plan, Recipe)}:
        path = tmp_path / "own.toml"
        path.write_text(as_toml(recipe))
        assert read_recipe(path).digest == recipe.digest


def test_what_is_not_given_takes_its_default():
    short = parse({"scheme": "int8", "passes": [{"name": "prune", "sparsity": 0.4}]})

    assert str(short) == "int8 + prune (sparsity 0.4, pattern unstructured)"


FAULTS = {
    "no scheme": ("ranges = 'best'", "the recipe has no scheme"),
    "a scheme that is none": ("scheme = 'int9'", "there is no scheme 'int9'. Did you mean int8?"),
    "a misspelt key": ("scheme = 'int8'\nrange = 'best'", "no key 'range' in a recipe. Did you mean ranges?"),
    "a misspelt pass": (
        "scheme = 'int8'\n[[passes]]\nname = 'equalize'",
        "there is no pass 'equalize'. Did you mean equalise?",
    ),
    "a pass without a name": ("scheme = 'int8'\n[[passes]]\nsparsity = 0.5", "pass 1 has no name"),
    "a misspelt parameter": (
        "scheme = 'int8'\n[[passes]]\nname = 'prune'\nsparseness = 0.5",
        "the pass prune has no parameter 'sparseness'. Did you mean sparsity?",
    ),
    "a parameter of a pass without any": (
        "scheme = 'int8'\n[[passes]]\nname = 'equalise'\nfast = true",
        "the pass equalise has no parameter 'fast'. equalise takes no parameters.",
    ),
    "a parameter left out": (
        "scheme = 'int8'\n[[passes]]\nname = 'prune-channels'",
        "the pass prune-channels needs share",
    ),
    "a value that is not allowed": (
        "scheme = 'int8'\n[[passes]]\nname = 'prune'\nsparsity = 50",
        "sparsity of the pass prune is 50. Give it a number between 0 and 1.",
    ),
    "a word that is none": (
        "scheme = 'int8'\n[[passes]]\nname = 'prune'\npattern = '4:2'",
        "pattern of the pass prune is '4:2'. Give it unstructured, block-4, 2:4.",
    ),
    "passes that are no list": ("scheme = 'int8'\npasses = 'equalise'", "passes is not a list of tables"),
    "layers kept where none can be": ("scheme = 'fp16'\nkeep = ['conv']", "fp16 keeps no layers in float"),
    "ranges where there are none": ("scheme = 'dynamic'\nranges = 'best'", "dynamic has no ranges to choose"),
    "no TOML": ("scheme = ", "is not TOML"),
}


@pytest.mark.parametrize(("text", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_what_was_meant(tmp_path: Path, text: str, sentence: str):
    path = tmp_path / "own.toml"
    path.write_text(text)

    with pytest.raises(BadInput) as raised:
        read_recipe(path)

    said = f"{raised.value}. {raised.value.hint}"
    assert str(path) in said
    assert sentence in said


@pytest.mark.parametrize("name", PASSES)
def test_the_table_tells_the_parameters_that_the_function_takes(name: str):
    taken = inspect.signature(PASSES[name].function).parameters

    for key, parameter in PASSES[name].parameters.items():
        assert taken[key].kind is inspect.Parameter.KEYWORD_ONLY
        own = taken[key].default
        assert parameter.default == (None if own is inspect.Parameter.empty else own)
        assert parameter.default is None or parameter.takes(parameter.default)
