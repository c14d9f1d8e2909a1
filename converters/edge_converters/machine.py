"""The words for `measured on`: processor, cores, system."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """As `AMD EPYC 9R14, 2 cores, Linux 6.1 x86_64`."""
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, platform.processor() or "unknown processor")
