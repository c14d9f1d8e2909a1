"""The peak of a conversion: of the processes alive at once, each from its own mouth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_converters.memory import Meter, describe
from edge_converters.processes import forget_peak, peak_bytes, resident_bytes
from edge_converters.progress import Steps
from edge_converters.tasks import Task
from edge_converters.workers import Worker, observed

MEBIBYTE = 1024**2


def test_children_alive_at_once_are_added_and_dead_ones_are_not():
    meter = Meter()
    alone = meter.read(None).peak
    meter.measured(1, 700 * MEBIBYTE, 500 * MEBIBYTE)
    meter.ended(1)
    meter.measured(2, 300 * MEBIBYTE, 100 * MEBIBYTE)
    meter.measured(3, 200 * MEBIBYTE, 50 * MEBIBYTE)
    meter.measured(2, 600 * MEBIBYTE, 100 * MEBIBYTE)
    memory = meter.read(10 * MEBIBYTE)

    assert 800 * MEBIBYTE <= memory.peak - alone < 850 * MEBIBYTE
    assert memory.work < 800 * MEBIBYTE
    assert "the float model has 10 MiB" in describe(memory)


def test_the_peak_of_this_process_begins_with_the_conversion():
    block = np.ones(100 * MEBIBYTE, np.uint8)
    assert peak_bytes() >= 100 * MEBIBYTE
    del block
    forget_peak()

    assert peak_bytes() <= resident_bytes() + 10 * MEBIBYTE


class Told:
    def __init__(self) -> None:
        self.peaks: list[tuple[int, int]] = []
        self.dead: list[int] = []
        self.progress: list[tuple[int, int]] = []

    def progressed(self, task: Task, done: int, total: int) -> None:
        self.progress.append((done, total))

    def measured(self, pid: int, peak: int, libraries: int) -> None:
        self.peaks.append((peak, libraries))

    def ended(self, pid: int) -> None:
        self.dead.append(pid)


def test_a_child_tells_its_own_peak_and_what_its_libraries_took(tmp_path: Path):
    """Not its parent's, though that held far more when it started the child."""
    block = np.ones(400 * MEBIBYTE, np.uint8)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07not a graph")
    told = Told()
    with observed(told), Worker() as worker, pytest.raises(Exception, match="not a readable ONNX model"):
        worker.call(Task.DESCRIBE_ONNX, source=str(tmp_path / "model.onnx"), kind="onnx")

    (peak, libraries), (pid,) = told.peaks[0], told.dead
    assert pid == worker.pid
    assert 10 * MEBIBYTE < libraries <= peak < 300 * MEBIBYTE
    assert block.all()


def test_steps_tell_what_is_done_now_and_keep_how_long_each_took():
    said: list[tuple[str, int, int]] = []
    steps = Steps(lambda *told: said.append(told))
    steps.expect(2)
    steps.begin("reading")
    steps.begin("rpi4-litert")
    steps.say("int8: making the file")
    steps.progressed(Task.RUN_LITERT, 40, 400)
    steps.finish()

    assert said == [
        ("reading", 0, 2),
        ("rpi4-litert", 1, 2),
        ("rpi4-litert: int8: making the file", 1, 2),
        ("rpi4-litert: int8: making the file: run-litert 40 of 400", 1, 2),
        ("done", 2, 2),
    ]
    assert [step.what for step in steps.taken] == ["reading", "rpi4-litert"]
    assert all(step.seconds >= 0 for step in steps.taken)
