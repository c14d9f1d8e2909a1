"""The files beside an ONNX file that its weights lie in, from the protobuf wire format. Loads no ML library.

Only the initialisers of the main graph are looked at: where exporters put what is large.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

GRAPH, INITIALIZER, EXTERNAL_DATA = 7, 5, 13
"""Fields of ModelProto, GraphProto and TensorProto (onnx.proto)."""
KEY, VALUE = 1, 2
"""Fields of StringStringEntryProto."""
_LENGTHS: Final = {1: 8, 5: 4}
"""Bytes of the wire types of fixed length."""

View = memoryview


def external_files(path: Path) -> tuple[str, ...]:
    """Their names, relative to the file's folder, in order; none of a file that is damaged."""
    try:
        return tuple(sorted(set(_locations(memoryview(path.read_bytes())))))
    except (IndexError, ValueError):
        return ()


def _locations(model: View) -> Iterator[str]:
    for graph in _parts(model, GRAPH):
        for tensor in _parts(graph, INITIALIZER):
            for entry in _parts(tensor, EXTERNAL_DATA):
                key = next(_parts(entry, KEY), View(b""))
                if bytes(key) == b"location":
                    yield bytes(next(_parts(entry, VALUE), View(b""))).decode(errors="replace")


def _parts(message: View, wanted: int) -> Iterator[View]:
    """The fields of this number that hold bytes."""
    place = 0
    while place < len(message):
        tag, place = _number(message, place)
        field, kind = tag >> 3, tag & 7
        if kind == 2:
            length, place = _number(message, place)
            if field == wanted:
                yield message[place : place + length]
            place += length
        elif kind == 0:
            _, place = _number(message, place)
        elif kind in _LENGTHS:
            place += _LENGTHS[kind]
        else:
            raise ValueError(f"wire type {kind}")


def _number(message: View, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
