"""How much memory a process holds and has held at most, as the kernel counts it. Linux; elsewhere the peak alone."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

LARGE_BLOCK: Final = 1024**2
_MMAP_THRESHOLD: Final = -3
_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")


def peak_bytes() -> int:
    """The most that this process has had resident since it began.

    Not getrusage where there is better: its figure starts with what the parent held when it started the child.
    """
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def forget_peak() -> None:
    """Let the peak begin anew with what is resident now, where the kernel does that (proc(5), clear_refs)."""
    with suppress(OSError):
        _CLEAR.write_text("5")


def map_large_blocks() -> None:
    """Let the C library take large blocks from the system one by one, so that each goes back as soon as it is freed.

    Left to itself it soon keeps what is freed for later (mallopt(3), M_MMAP_THRESHOLD), which holds a large model's
    weights once or twice more. Where it cannot be told, nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE_BLOCK)


def resident_bytes() -> int:
    """What this process has resident now."""
    return _status("VmRSS") or peak_bytes()


_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def _status(key: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
