"""Latency beside the float model's: a fresh process for each, pinned, warmed up, measured in turns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge_contracts.manifest import Accelerator
from edge_converters import vulkan
from edge_converters.files import TIME, ModelFile
from edge_converters.workers import Worker
from edge_profiles.profile import Profile

WARM_UP_SECONDS: Final = 0.3
BLOCK_SECONDS: Final = 0.1
BLOCKS: Final = 6
MOST_SECONDS: Final = 4.0
"""A simulator takes up to a second for one inference: then fewer blocks have to do."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single inferences."""

    p50: float
    p90: float
    p99: float
    n: int


def measure(
    variant: ModelFile, inputs: Path, base: ModelFile, base_inputs: Path, profile: Profile
) -> tuple[Latency, Latency] | None:
    """The variant's and the float model's latency on this machine; None where the target's engine cannot be timed here.

    The float model runs on the CPU for an accelerator that takes no float file.
    """
    task = TIME.get((profile.engine, profile.accelerator))
    if task is None:
        return None
    base_task = TIME[profile.engine, Accelerator.CPU] if profile.accelerator is Accelerator.QNN_HTP else task
    environment = vulkan.environment() if profile.accelerator is Accelerator.GPU else None
    taken: tuple[list[float], list[float]] = ([], [])
    with Worker(environment) as first, Worker(environment) as second:
        calls = ((first, task, variant, inputs), (second, base_task, base, base_inputs))
        start = time.monotonic()
        for seconds in (WARM_UP_SECONDS, *(BLOCK_SECONDS,) * BLOCKS):
            if all(taken) and time.monotonic() - start > MOST_SECONDS:
                break
            for (worker, what, file, samples), kept in zip(calls, taken, strict=True):
                answer = worker.call(
                    what, model=str(file.path), inputs=str(samples), threads=profile.threads, seconds=seconds
                )
                if seconds != WARM_UP_SECONDS:
                    kept.extend(answer["microseconds"])
    return _summary(taken[0]), _summary(taken[1])


def _summary(microseconds: list[float]) -> Latency:
    p50, p90, p99 = (float(value) / 1000 for value in np.percentile(microseconds, (50, 90, 99)))
    return Latency(p50, p90, p99, len(microseconds))
