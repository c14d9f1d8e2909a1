"""The fields of the format, read from the model itself: what a table may hold, and each field in words.

The words are the strings below the fields, read from the source when they are asked for: done at import, as pydantic
offers, it takes longer than importing the model takes without.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_profiles.profile import Figure, Profile


@dataclass(frozen=True)
class Row:
    """A field in words. `key` is its place in the file, as `memory.ram`."""

    key: str
    kind: str
    needed: str
    meaning: str


def keys_at(place: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at `place`, as they are written in TOML; of the nearest table above if it is none."""
    table: type[BaseModel] = Profile
    for part in place:
        field = next((each for name, each in table.model_fields.items() if part in (name, each.alias)), None)
        table = (field and table_in(field.annotation)) or table
    return [field.alias or name for name, field in table.model_fields.items()]


def table_in(annotation: Any) -> type[BaseModel] | None:
    """The table that a field holds, if it holds one."""
    candidates = (annotation, *get_args(annotation))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)


def is_figure(place: tuple[int | str, ...]) -> bool:
    """Whether the field at `place` holds a figure."""
    return keys_at(place) == [*Figure.model_fields]


def rows(table: type[BaseModel] = Profile, prefix: str = "") -> Iterator[Row]:
    """Every field, tables before what is in them; a figure is one row."""
    meanings = _meanings(table)
    for name, field in table.model_fields.items():
        key, inner = prefix + (field.alias or name), table_in(field.annotation)
        if inner is None or issubclass(inner, Figure):
            yield Row(key, _kind(field), _needed(field), _line(meanings.get(name)))
        else:
            yield Row(key, "table", _needed(field), _line(inner.__doc__))
            yield from rows(inner, f"{key}.")


def _meanings(table: type[BaseModel]) -> dict[str, str]:
    """By field the string below it."""
    (definition,) = ast.parse(inspect.getsource(table)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: said.value.value
        for field, said in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str)
    }


def _needed(field: FieldInfo) -> str:
    if field.is_required():
        return "yes"
    plain = field.default if isinstance(field.default, int | float) else None
    return "no" if plain is None else f"no: {plain:g}"


def _kind(field: FieldInfo) -> str:
    inner = table_in(field.annotation)
    if inner is not None:
        (unit,) = get_args(inner.model_fields["unit"].annotation)
        return f"figure in {unit}"
    return _words(field.annotation)


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0])
    if origin in {Union, types.UnionType}:
        return _words(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if issubclass(annotation, StrEnum):
        return " \\| ".join(f"`{each}`" for each in annotation)
    return {int: "whole number", float: "number"}.get(annotation, "text")


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
