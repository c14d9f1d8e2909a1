"""The files beside an ONNX file that its weights lie in, from the protobuf wire format. Loads no ML library.

Only the initialisers of the main graph are looked at: where exporters put what is large.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from edge_converters.protobuf_fields import BYTES, fields

GRAPH, INITIALIZER, EXTERNAL_DATA = 7, 5, 13
"""Fields of ModelProto, GraphProto and TensorProto (onnx.proto)."""
KEY, VALUE = 1, 2
"""Fields of StringStringEntryProto."""

Span = tuple[int, int]


def external_files(path: Path) -> tuple[str, ...]:
    """Their names, relative to the file's folder, in order; none of a file that is damaged."""
    if not path.stat().st_size:
        return ()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return tuple(sorted(set(_locations(content))))
    except (IndexError, ValueError):
        return ()


def _locations(content: mmap.mmap) -> Iterator[str]:
    for graph in _parts(content, (0, len(content)), GRAPH):
        for tensor in _parts(content, graph, INITIALIZER):
            for entry in _parts(content, tensor, EXTERNAL_DATA):
                if _text(content, entry, KEY) == b"location":
                    yield _text(content, entry, VALUE).decode(errors="replace")


def _text(content: mmap.mmap, message: Span, wanted: int) -> bytes:
    return next((content[start:end] for start, end in _parts(content, message, wanted)), b"")


def _parts(content: mmap.mmap, message: Span, wanted: int) -> Iterator[Span]:
    """The fields of this number that hold bytes."""
    for field in fields(content, *message):
        if field.number == wanted and field.kind == BYTES:
            yield field.value, field.end
