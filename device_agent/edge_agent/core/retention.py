"""Which stored windows to merge when space is short: detail goes first, counts never."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LEVELS_S: Final = (3600.0, 6 * 3600.0, 24 * 3600.0)
"""Lengths to which windows of 15 minutes grow: 1 h, then 6 h, then 24 h."""


@dataclass(frozen=True)
class Held:
    """A stored window that the server has not been sent. Only windows of one `group` may be merged."""

    key: int
    group: str
    start: float


def to_merge(held: Iterable[Held]) -> tuple[int, ...]:
    """The keys of the windows to merge next: the oldest ones that share an interval of the shortest possible level.

    Empty when no two windows share an interval of the longest level.
    """
    ordered = sorted(held, key=lambda window: window.start)
    for level in LEVELS_S:
        intervals: dict[tuple[str, float], list[int]] = defaultdict(list)
        for window in ordered:
            intervals[window.group, window.start // level].append(window.key)
        for keys in intervals.values():
            if len(keys) > 1:
                return tuple(keys)
    return ()
