"""Waiting for something to become true elsewhere: asked once in a while, up to a deadline, never longer than needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from edge_sdk.errors import NotAchieved

PAUSE_SECONDS: Final = 0.5
Seen = TypeVar("Seen")


def wait_for(what: str, seconds: float, look: Callable[[], Seen | None], hint: str = "") -> Seen:
    """The first answer of `look` that is not None.

    Raises:
        NotAchieved: there was none within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen is not None:
            return seen
        if time.monotonic() > deadline:
            raise NotAchieved(f"{what} was not seen within {seconds:.0f} s", hint)
        time.sleep(PAUSE_SECONDS)
