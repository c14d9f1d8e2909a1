"""What a conversion's processes took of memory at most, added up over those alive at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_converters.processes import forget_peak, peak_bytes, resident_bytes

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
        """What models, samples and the libraries' own buffers took; `benchmarks/conversion_memory.py` parts them."""
        return self.peak - self.libraries


def describe(memory: Memory) -> str:
    """In words, for a person."""
    said = f"{_mebibytes(memory.peak)} at most, of which {_mebibytes(memory.libraries)} the imported libraries"
    if memory.float_bytes is None:
        return said
    return f"{said}; the float model has {_mebibytes(memory.float_bytes)}"


def _mebibytes(count: int) -> str:
    return f"{count / 1024**2:.3g} MiB"


class Meter:
    """Follows the peaks of children while they live. Made when a conversion begins."""

    def __init__(self) -> None:
        forget_peak()
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
