"""A pass as somebody asks for it, checked against the table of passes. What is not given takes its default. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from edge_converters.errors import BadInput
from edge_converters.passes.table import PASSES
from edge_converters.recipes import Call


def call(name: str, given: Mapping[str, object]) -> Call:
    """The pass with all its parameters, in the table's order.

    Raises:
        BadInput: there is no such pass or parameter, a parameter is missing, or its value is not allowed; named with
            what was probably meant.
    """
    if name not in PASSES:
        raise BadInput(f"there is no pass {name!r}", meant(name, PASSES))
    asked = PASSES[name].parameters
    unknown = next((each for each in given if each not in asked), None)
    if unknown is not None:
        hint = meant(unknown, asked) if asked else f"{name} takes no parameters."
        raise BadInput(f"the pass {name} has no parameter {unknown!r}", hint)
    values: list[tuple[str, str | int | float | bool]] = []
    for key, parameter in asked.items():
        value = given.get(key, parameter.default)
        if value is None:
            raise BadInput(f"the pass {name} needs {key}", f"It is {parameter.allowed}: {parameter.meaning}.")
        if not parameter.takes(value):
            raise BadInput(f"{key} of the pass {name} is {value!r}", f"Give it {parameter.allowed}.")
        assert isinstance(value, str | int | float)
        values.append((key, value))
    return Call(name, tuple(values))


def meant(given: str, known: Collection[str]) -> str:
    """What was probably meant, and what there is."""
    near = get_close_matches(given.lower(), known, 1, 0.5)
    guess = f"Did you mean {near[0]}? " if near else ""
    return f"{guess}There are {', '.join(known)}."
