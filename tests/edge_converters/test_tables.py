"""Every row of the tables leads somewhere: tasks to functions, routes to steps, schemes to recipes."""

from __future__ import annotations

import ast
import tomllib
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

import edge_converters
from edge_converters.checks import _TRIALS
from edge_converters.floats import DESCRIBE, RUN_SOURCE
from edge_converters.making import MAKE
from edge_converters.passes.table import PASSES
from edge_converters.recipes import CANONICALISE, EFFORTS, QUANTISED, Recipe, rungs
from edge_converters.routes import _STEPS, ROUTES, Step
from edge_converters.sources import SourceKind
from edge_converters.tasks import TASKS, Task
from edge_converters.weights import STORAGE
from edge_profiles.boards import shipped
from edge_profiles.schemes import SCHEMES, Format, Scheme
from tests.architecture.project import ROOT

PACKAGE = Path(edge_converters.__file__).parent


@pytest.mark.parametrize("task", Task)
def test_a_task_names_a_function_and_an_extra_that_exist(task):
    place = TASKS[task]
    tree = ast.parse((PACKAGE / "backends" / f"{place.module.rpartition('.')[2]}.py").read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert place.function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert place.extra in extras


def test_there_is_a_route_from_every_source_to_every_format():
    assert set(ROUTES) == set(product(SourceKind, get_args(Format)))
    assert set(_STEPS) == set(Step)
    assert set(DESCRIBE) == set(RUN_SOURCE) == set(SourceKind)
    assert set(MAKE) == set(get_args(Format))


def test_every_scheme_has_passes_and_every_accelerator_a_trial():
    assert set(STORAGE) == set(Scheme)
    assert set(EFFORTS) < QUANTISED
    named = {call.name for efforts in EFFORTS.values() for calls, _ in efforts for call in calls}
    assert named | {call.name for call in CANONICALISE} <= set(PASSES)
    assert {accelerator for _, accelerator in SCHEMES} == set(_TRIALS)


def test_recipes_differ_where_their_parameters_do():
    recipes = {plan for profile in shipped() for plan in rungs(profile) if isinstance(plan, Recipe)}

    assert len({recipe.digest for recipe in recipes}) == len({str(recipe) for recipe in recipes}) == len(recipes)
