"""Plans one block of memory for buffers that live at different times: greedy by size. Pure.

Y. Pisarchyk, J. Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020): greedy by size for offsets.
Equals come in TFLite Micro's order (tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc), so that a plan made
here is the plan that is made on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ALIGNMENT: Final = 16
"""Bytes. TFLite Micro's MicroArenaBufferAlignment."""


@dataclass(frozen=True)
class Buffer:
    """`size` bytes that are needed from step `first` to step `last`, both included."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placed:
    """A buffer with its place, in bytes from the start of the block."""

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        """The first byte behind it that another may use: sizes are rounded up to the alignment."""
        return self.offset + aligned(self.buffer.size)


@dataclass(frozen=True)
class Plan:
    """Where each buffer lies, in the order they were given in."""

    placed: tuple[Placed, ...]

    @property
    def peak(self) -> int:
        """Bytes of the whole block."""
        return max((each.end for each in self.placed), default=0)


def plan(buffers: Sequence[Buffer]) -> Plan:
    """The largest buffer first, each at the lowest gap that is free for as long as it is needed."""
    largest_first = sorted(range(len(buffers)), key=lambda i: (-aligned(buffers[i].size), -i))
    places: dict[int, Placed] = {}
    by_offset: list[Placed] = []
    for index in largest_first:
        place = Placed(buffers[index], _lowest_gap(buffers[index], by_offset))
        places[index] = place
        by_offset.append(place)
        by_offset.sort(key=lambda each: each.offset)
    return Plan(tuple(places[i] for i in range(len(buffers))))


def least(buffers: Sequence[Buffer]) -> int:
    """Bytes that no plan can do without: the most that is needed at one step."""
    steps = {buffer.first for buffer in buffers}
    live = (sum(aligned(each.size) for each in buffers if each.first <= step <= each.last) for step in steps)
    return max(live, default=0)


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _lowest_gap(wanted: Buffer, by_offset: Sequence[Placed]) -> int:
    end = 0
    for other in by_offset:
        if not other.buffer.meets(wanted):
            continue
        if other.offset - end >= aligned(wanted.size):
            return end
        end = max(end, other.end)
    return end
