"""The refusal of one message from a device, and the checks on numbers that every handler shares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

LARGEST: Final = 2**40
"""More than any honest device counts in a window or has bytes; millions of such numbers still add up in 64 bits."""


class Dropped(Exception):
    """The message is readable and is not taken. Reaction: count it under `why`, go on with the next."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why = why


def moment(seconds: float) -> datetime:
    """Unix seconds as a time. Raises Dropped where no calendar has such a time."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise Dropped("impossible-time", f"{seconds!r} seconds") from error


def storable(*numbers: int) -> None:
    """Raises Dropped when a number is larger than any honest device's."""
    for number in numbers:
        if number > LARGEST:
            raise Dropped("impossible-number", f"a number of {number.bit_length()} bits")
