"""The package offers `convert` and what it is called with under short names, each where it is defined."""

from __future__ import annotations

from importlib import import_module

import pytest

import edge_converters
from edge_converters import MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_name_that_is_offered_is_the_one_of_its_module(name: str):
    assert getattr(edge_converters, name) is getattr(import_module(f"edge_converters.{MODULES[name]}"), name)
    assert name in dir(edge_converters)


def test_a_name_that_is_not_offered_is_missing_as_from_any_module():
    with pytest.raises(ImportError, match="cannot import name 'quantise' from 'edge_converters'"):
        from edge_converters import quantise  # noqa: F401
