"""Answers and windows as the tests of telemetry need them, made from the small digits models."""

from __future__ import annotations

import numpy as np

from edge_agent.core.windows import Observed, WindowBuilder
from edge_agent.ports import Answer, Release, Tensors
from edge_contracts.window import Clock, Health, TelemetryWindow
from tests.support import releases

RELEASE = releases.release("cpu-ort")
"""A float model, so that the numbers of a request are real values."""
IMAGES, _ = releases.samples()
SCORES = np.load(releases.MODELS / "samples.npz")["digits-fp32.onnx"]
INPUT = RELEASE.variant.inputs[0].name
OUTPUT = RELEASE.variant.outputs[0].name


def answer(chosen: slice, release: Release = RELEASE, latency_us: float = 250.0) -> tuple[Tensors, Answer]:
    """What the observer is told of a request with these of the sample images."""
    outputs: Tensors = {OUTPUT: SCORES[chosen]}
    return {INPUT: IMAGES[chosen]}, Answer(outputs, release, "cpu", fallback=False, latency_us=latency_us)


def observed(chosen: slice, latency_us: float = 250.0) -> Observed:
    """A request with these of the sample images, as a window counts it."""
    inputs, given = answer(chosen, latency_us=latency_us)
    return Observed(len(inputs[INPUT]), latency_us, (inputs, given.outputs))


def closed(builder: WindowBuilder, end: float = 900.0, boot: str = "boot-1", sequence: int = 1) -> TelemetryWindow:
    """The window of a builder."""
    return builder.close(end, Clock.SYNCHRONISED, Health(), boot, sequence)


def window(start: float, boot: str, sequence: int, count: int = 8, release: Release = RELEASE) -> TelemetryWindow:
    """A quarter of an hour of `count` requests of one image each."""
    builder = WindowBuilder(release, start)
    builder.add([observed(slice(i % 64, i % 64 + 1), 100.0 + i) for i in range(count)])
    return closed(builder, start + 900, boot, sequence)
