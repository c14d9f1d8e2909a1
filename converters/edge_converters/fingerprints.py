"""The digest of plain values, arrays among them: equal values have equal digests in every process. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from edge_contracts.ids import Digest


class NoFingerprint(Exception):
    """A value has no content to tell it by, such as a function. Reaction: do without a cache."""


def fingerprint(value: object) -> Digest:
    """The digest of `value`: dataclasses, pydantic models, arrays, mappings, sequences and plain values, nested.

    Raises:
        NoFingerprint: it holds something else.
    """
    total = hashlib.sha256()
    for part in _parts(value):
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return Digest(f"sha256:{total.hexdigest()}")


Part = bytes | memoryview


def _parts(value: Any) -> Iterator[Part]:
    """A prefix-free row of byte strings: each kind says what it is and how many follow."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise NoFingerprint("an array of Python objects")
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _mapping(type(value).__name__, {field.name: getattr(value, field.name) for field in fields(value)})
    elif isinstance(value, BaseModel):
        yield from _mapping(type(value).__name__, dict(value))
    else:
        kind = next((kind for kind in _PLAIN if isinstance(value, kind)), None)
        if kind is None:
            raise NoFingerprint(f"a value of type {type(value).__name__}")
        yield from _PLAIN[kind](value)


def _mapping(name: str, members: Mapping[Any, Any]) -> Iterator[Part]:
    yield f"{name} {len(members)}".encode()
    for key in sorted(members, key=repr):
        yield from _parts(key)
        yield from _parts(members[key])


def _sequence(name: str, members: Any) -> Iterator[Part]:
    yield f"{name} {len(members)}".encode()
    for member in members:
        yield from _parts(member)


def _word(value: object) -> Iterator[Part]:
    yield f"{type(value).__name__} {value!r}".encode()


_PLAIN: Final[dict[type, Callable[[Any], Iterator[Part]]]] = {
    Enum: lambda value: _word(value.value),
    bytes: lambda value: iter((b"bytes", value)),
    Path: lambda value: _word(str(value)),
    str: lambda value: iter((b"str", value.encode())),
    bool: _word,
    int: _word,
    float: lambda value: _word(float(value)),
    type(None): _word,
    np.generic: lambda value: _parts(np.asarray(value)),
    Mapping: lambda value: _mapping("mapping", value),
    tuple: lambda value: _sequence("sequence", value),
    list: lambda value: _sequence("sequence", value),
    frozenset: lambda value: _sequence("set", sorted(value, key=repr)),
    set: lambda value: _sequence("set", sorted(value, key=repr)),
}
"""By kind, the special before the general."""
