"""Byte ranges of HTTP (RFC 9110, section 14): which bytes a `Range` header asks for. One range; a list of them is
answered with the whole, as the RFC allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ONE_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.IGNORECASE)


@dataclass(frozen=True)
class ByteRange:
    """Bytes `start` to `stop` (exclusive)."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """The header of a 206 answer."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class Unsatisfiable(ValueError):
    """No byte of the range exists: 416."""


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The bytes asked for; None for the whole, also when the header is not understood (section 14.2: ignore it).

    Raises:
        Unsatisfiable: the range begins beyond the end, or asks for the last zero bytes.
    """
    match = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, stop = max(size - int(suffix), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise Unsatisfiable(header)
    return ByteRange(start, stop)
