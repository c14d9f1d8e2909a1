"""What is wrong with a profile's fields: each fault with its key, one sentence and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edge_profiles.fields import is_figure, keys_at
from edge_profiles.profile import MISFITS
from edge_profiles.template import example

AGAIN: Final = "Correct it and run `edge-sdk profiles validate` again."
A_SOURCE: Final = "Every figure names its datasheet, or says it is a choice or assumed, and why."
WORDS: Final = {
    "bool_type": "should be true or false, without quotes",
    "float_type": "should be a number, without quotes",
    "int_type": "should be a whole number, without quotes",
    "string_pattern_mismatch": "may hold a-z, 0-9, - and _, and begins and ends with a letter or digit",
    "string_too_short": "is empty",
    "string_type": "should be text in quotes",
    "too_short": "names nothing",
    "tuple_type": "should be a list",
}
"""What is said in place of pydantic's words, by its type of error."""


@dataclass(frozen=True)
class Fault:
    """`key` is the place in the file, empty for the file itself; `problem` is one sentence, `hint` what to do."""

    key: str
    problem: str
    hint: str


def faults_of(error: ValidationError) -> tuple[Fault, ...]:
    """Every fault there is, unknown keys first: a misspelt key explains the one that is missing."""
    found = error.errors(include_url=False)
    strangers = [each for each in found if each["type"] == "extra_forbidden"]
    meant = {(*each["loc"][:-1], near) for each in strangers if (near := _nearest_key(each["loc"]))}
    others = [each for each in found if each not in strangers and not (_is_missing(each) and each["loc"] in meant)]
    return tuple(fault for each in (*strangers, *others) for fault in _told(each))


def _told(error: ErrorDetails) -> Iterator[Fault]:
    if error["type"] == MISFITS:
        for misfit in error["ctx"][MISFITS]:
            yield Fault(misfit.key, misfit.problem, misfit.hint)
        return
    place = error["loc"]
    key = _written(place)
    if error["type"] == "extra_forbidden":
        yield _stranger(key, place)
    elif _is_missing(error):
        yield _missing(key, place)
    else:
        yield _wrong(key, error)


def _stranger(key: str, place: tuple[int | str, ...]) -> Fault:
    near = _nearest_key(place)
    meant = f"Did you mean `{near}`? " if near else ""
    return Fault(key, f"`{key}` is not a key of the format", f"{meant}Allowed here: {', '.join(keys_at(place[:-1]))}.")


def _missing(key: str, place: tuple[int | str, ...]) -> Fault:
    if place[-1] == "source":
        return Fault(key, f"`{key}` is missing", A_SOURCE)
    return Fault(key, f"`{key}` is missing", _as_in(key, "Add it"))


def _wrong(key: str, error: ErrorDetails) -> Fault:
    given = error["input"]
    verb = "has" if isinstance(error["loc"][-1], int) else "is"
    shown = f"`{key}`" if isinstance(given, dict | list) else f"`{key}` {verb} {_short(given)}"
    if error["type"] in {"model_type", "model_attributes_type"}:
        what = "a figure is { value = ..., unit = ..., source = ... }" if is_figure(error["loc"]) else "this is a table"
        return Fault(key, f"{shown}: {what}", _as_in(key, "Write it"))
    message = WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if key.endswith("source"):
        return Fault(key, f"{shown}: {message}", A_SOURCE)
    near = _nearest(str(given), _expected(error))
    hint = f"Did you mean {near!r}?" if near else _as_in(key, "Correct it")
    return Fault(key, f"{shown}: {message}", hint)


def _as_in(key: str, what: str) -> str:
    line = example(key)
    return f"{what}, as in: {line}" if line else AGAIN


def _is_missing(error: ErrorDetails) -> bool:
    return error["type"] == "missing"


def _written(place: Sequence[int | str]) -> str:
    """As in `memory.ram.value`; of an entry of a list, the list's."""
    return ".".join(part for part in place if isinstance(part, str))


def _expected(error: ErrorDetails) -> list[str]:
    """What pydantic says is allowed, as "'a', 'b' or 'c'"."""
    allowed = str(error.get("ctx", {}).get("expected", ""))
    return allowed.replace(" or ", ", ").replace("'", "").split(", ")


def _nearest_key(place: tuple[int | str, ...]) -> str | None:
    return _nearest(str(place[-1]), keys_at(place[:-1]))


def _nearest(given: str, allowed: Sequence[str]) -> str | None:
    plain = {name.lower(): name for name in allowed}
    return next((plain[name] for name in get_close_matches(given.lower(), plain, 1, 0.6)), None)


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
