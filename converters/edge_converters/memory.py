"""What a conversion's processes took of memory at most, added up over those alive at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_converters.processes import peak_bytes, resident_bytes

ALLOWED: Final = 3
"""Times the float model's size, beside the libraries, that a conversion may hold."""
HOW: Final = (
    "the peaks of resident memory (VmHWM) of the processes alive at once, this one included, added up; they need not "
    "fall together, and shared pages count in each"
)


@dataclass(frozen=True)
class Memory:
    """Bytes. `libraries` is what, of `peak`, the same processes held after their imports, before any work.

    `float_bytes` is the largest float file of the model; None where everything came from the cache.
    """

    peak: int
    libraries: int
    float_bytes: int | None
    how: str = HOW

    @property
    def work(self) -> int:
        """What models, samples and the libraries' own buffers took."""
        return self.peak - self.libraries

    @property
    def within(self) -> bool:
        """Whether the work stayed within three times the float model; a small one is outweighed by any buffer."""
        return self.float_bytes is None or self.work <= ALLOWED * self.float_bytes


def describe(memory: Memory) -> str:
    """In words, for a person."""
    said = f"{_mebibytes(memory.peak)} at most, of which {_mebibytes(memory.libraries)} the imported libraries"
    if memory.float_bytes is None:
        return said
    times, bound = memory.work / memory.float_bytes, "within" if memory.within else "over"
    return (
        f"{said}; the rest is {times:.1f} times the float model's {_mebibytes(memory.float_bytes)} ({bound} {ALLOWED})"
    )


def _mebibytes(count: int) -> str:
    return f"{count / 1024**2:.3g} MiB"


class Meter:
    """Follows the peaks of children while they live. Made when a conversion begins."""

    def __init__(self) -> None:
        self._before = resident_bytes()
        self._alive: dict[int, tuple[int, int]] = {}
        self._peak = (peak_bytes(), self._before)

    def measured(self, pid: int, peak: int, libraries: int) -> None:
        """What a child has held at most so far, and after its imports."""
        self._alive[pid] = (peak, libraries)
        self._add_up()

    def ended(self, pid: int) -> None:
        """A child is no more."""
        self._alive.pop(pid, None)

    def read(self, float_bytes: int | None) -> Memory:
        """The most so far."""
        self._add_up()
        return Memory(*self._peak, float_bytes=float_bytes)

    def _add_up(self) -> None:
        peak = peak_bytes() + sum(peak for peak, _ in self._alive.values())
        libraries = self._before + sum(libraries for _, libraries in self._alive.values())
        self._peak = max(self._peak, (peak, libraries))
