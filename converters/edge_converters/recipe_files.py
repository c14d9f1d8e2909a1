"""Recipes as TOML files: read strictly, and written for a person to start from."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from edge_converters.calls import call, meant
from edge_converters.errors import BadInput
from edge_converters.recipes import CALIBRATED, COARSE, MIXABLE, Call, Ranges, Recipe
from edge_profiles.schemes import Scheme

KEYS: Final = ("scheme", "ranges", "keep", "coarse", "passes")
MAX_BYTES: Final = 64 * 1024
Word = TypeVar("Word", bound=StrEnum)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        BadInput: not readable, not TOML, or something in it is unknown, missing or not allowed; says where and what.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} is not readable: {error.strerror}", "Check the path.") from error
    if len(content) > MAX_BYTES:
        raise BadInput(f"{path} has {len(content)} bytes, at most {MAX_BYTES} are a recipe", "Check the path.")
    try:
        fields = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}", "Correct that place.") from error
    try:
        return parse(fields)
    except BadInput as error:
        raise BadInput(f"{path}: {error}", error.hint) from error


def parse(fields: Mapping[str, Any]) -> Recipe:
    """The recipe of these values, as `as_toml` writes them and `Recipe.as_json` gives them.

    Raises:
        BadInput: as `read_recipe`.
    """
    unknown = next((key for key in fields if key not in KEYS), None)
    if unknown is not None:
        raise BadInput(f"there is no key {unknown!r} in a recipe", meant(unknown, KEYS))
    if "scheme" not in fields:
        raise BadInput("the recipe has no scheme", f"Name one of {', '.join(Scheme)}.")
    scheme = _word(Scheme, "scheme", fields["scheme"])
    ranges = _word(Ranges, "ranges", fields.get("ranges", Ranges.MIN_MAX))
    keep = fields.get("keep", [])
    if not isinstance(keep, list) or not all(isinstance(name, str) and name for name in keep):
        raise BadInput(f"keep is {keep!r}", "Give it a list of names of layers, in quotes.")
    coarse = fields.get("coarse", False)
    if not isinstance(coarse, bool):
        raise BadInput(f"coarse is {coarse!r}", "Give it true or false.")
    _check_scheme(scheme, ranges, keep, coarse)
    return Recipe(scheme, _passes(fields.get("passes", [])), ranges, tuple(dict.fromkeys(keep)), coarse)


def as_toml(recipe: Recipe) -> str:
    """The recipe as a file; reading it gives the same recipe."""
    head = [f"scheme = {_quoted(recipe.scheme)}", f"ranges = {_quoted(recipe.ranges)}"]
    if recipe.keep:
        head.append(f"keep = [{', '.join(map(_quoted, recipe.keep))}]")
    if recipe.coarse:
        head.append("coarse = true")
    tables = ["\n".join(_table(each)) for each in recipe.passes]
    return "\n\n".join(["\n".join(head), *tables]) + "\n"


def _table(each: Call) -> list[str]:
    values = [f"{key} = {_quoted(value) if isinstance(value, str) else value}" for key, value in each.parameters]
    return ["[[passes]]", f"name = {_quoted(each.name)}", *values]


def _quoted(text: str) -> str:
    """JSON's escapes are TOML's, which wants one more."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _word(kind: type[Word], key: str, value: object) -> Word:
    if isinstance(value, str) and value in {*kind}:
        return kind(value)
    words: Collection[str] = [str(each) for each in kind]
    raise BadInput(f"there is no {key} {value!r}", meant(str(value), words))


def _passes(given: object) -> tuple[Call, ...]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise BadInput("passes is not a list of tables", "Begin each with a line [[passes]] and give it a name.")
    found = []
    for number, each in enumerate(given, 1):
        name = each.get("name")
        if not isinstance(name, str):
            raise BadInput(f"pass {number} has no name", 'Add it, as in: name = "equalise"')
        found.append(call(name, {key: value for key, value in each.items() if key != "name"}))
    return tuple(found)


def _check_scheme(scheme: Scheme, ranges: Ranges, keep: Collection[str], coarse: bool) -> None:
    if ranges is not Ranges.MIN_MAX and scheme not in CALIBRATED:
        raise BadInput(f"{scheme} has no ranges to choose", f"Those that have are {', '.join(sorted(CALIBRATED))}.")
    if keep and scheme not in MIXABLE:
        raise BadInput(f"{scheme} keeps no layers in float", f"That can be asked of {', '.join(sorted(MIXABLE))}.")
    if coarse and scheme not in COARSE:
        raise BadInput(f"{scheme} has no coarse dense layers", f"That can be asked of {', '.join(sorted(COARSE))}.")
