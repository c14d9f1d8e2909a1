"""Runs one sample after the other through an engine and times it; knows no engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_converters.backends.channel import tell

Array = npt.NDArray[Any]
Infer = Callable[[Array], Sequence[Array]]
"""One sample with its batch dimension of 1 in, every output in the file's order out."""


def run_all(infer: Infer, inputs: str, outputs: str) -> dict[str, Any]:
    """Answer every sample of the .npy `inputs`; `outputs` becomes an .npz with `output_<i>` [n, ...]."""
    samples = np.load(inputs, mmap_mode="r")
    rows = []
    for done, sample in enumerate(samples):
        tell(done, len(samples))
        rows.append([np.array(part) for part in infer(np.array(sample[None]))])
    parts = [np.concatenate(column) for column in zip(*rows, strict=True)]
    save_arrays(outputs, {f"output_{i}": part for i, part in enumerate(parts)})
    return {"samples": len(rows), "outputs": len(parts)}


def save_arrays(path: str, arrays: Mapping[str, Array]) -> None:
    """An .npz of these arrays."""
    named: dict[str, Any] = dict(arrays)
    np.savez(path, **named)


def time_block(infer: Infer, inputs: str, seconds: float) -> dict[str, Any]:
    """Latencies in microseconds of single inferences over about `seconds`, at least 1, cycling through the samples."""
    samples = [np.ascontiguousarray(sample[None]) for sample in np.load(inputs)]
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        sample = samples[len(taken) % len(samples)]
        start = time.perf_counter_ns()
        infer(sample)
        taken.append((time.perf_counter_ns() - start) / 1000)
    return {"microseconds": taken}


def pin(threads: int) -> None:
    """Keep this process on as many processors as it has threads, so that two runs compare."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[:threads])
