"""Where the fields of a protobuf message lie, told without parsing what is in them. Loads no library.

The wire format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final, NamedTuple

Content = memoryview | mmap.mmap

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
"""How a field is written."""
_LENGTHS: Final = {FIXED_64: 8, FIXED_32: 4}
_CONTINUES: Final = 0x80
"""The bit of a number's byte that says that another follows."""
_LONGEST: Final = 63
"""Bits of a number, the last byte's left out."""


class Field(NamedTuple):
    """A field with its tag and length from `start`, its value from `value`, both until `end`."""

    number: int
    kind: int
    start: int
    value: int
    end: int


def fields(content: Content, start: int, end: int) -> Iterator[Field]:
    """Those of the message that lies from `start` until `end`.

    Raises:
        ValueError: it is no message.
        IndexError: it ends in the middle of a field.
    """
    place = start
    while place < end:
        tag, value = _number(content, place)
        kind, stop = tag & 7, value
        if kind == BYTES:
            length, value = _number(content, value)
            stop = value + length
        elif kind == VARINT:
            _, stop = _number(content, value)
        elif kind in _LENGTHS:
            stop = value + _LENGTHS[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if stop > end:
            raise IndexError(f"a field until {stop} in a message until {end}")
        yield Field(tag >> 3, kind, place, value, stop)
        place = stop


def number(value: int) -> bytes:
    """A number as tags and lengths are written."""
    parts = []
    while value >= _CONTINUES:
        parts.append(value % _CONTINUES | _CONTINUES)
        value //= _CONTINUES
    return bytes([*parts, value])


def _number(content: Content, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte % _CONTINUES) << shift
        if byte < _CONTINUES:
            return value, place
        shift += 7
        if shift > _LONGEST:
            raise ValueError("a number of more than ten bytes")
