"""Latency beside the float model's: fresh pinned processes for each, warmed up until flat, measured in turns.

What is run here and what the times say are two things: the second is in `timings`.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from edge_contracts.manifest import Accelerator
from edge_converters import vulkan
from edge_converters.files import TIME
from edge_converters.machine import describe_machine
from edge_converters.tasks import Task
from edge_converters.timings import (
    Blocks,
    Comparison,
    Latency,
    Medians,
    aa_spread,
    block_medians,
    compare,
    flatten,
    is_flat,
    summarise,
)
from edge_converters.workers import Worker
from edge_profiles.profile import Profile

PROCESSES: Final = 4
"""Of each side. With fewer, an unlucky memory layout is taken for a difference: see `timings.compare`."""
TURNS: Final = 8
BLOCK_SECONDS: Final = 0.01
WARM_UP_SECONDS: Final = 0.7
"""The longest that is waited for flat times."""
MOST_SECONDS: Final = 2.5
"""A large model takes up to a second for one inference: then fewer turns have to do."""


@dataclass(frozen=True)
class Timing:
    """The variant's and the float model's latency on this machine, `where` in words.

    `comparison` is None where something in software stands for the target: its times are this machine's, and whether
    they are shorter than a processor's says nothing of the real one.
    """

    variant: Latency
    base: Latency
    comparison: Comparison | None
    where: str


@dataclass(frozen=True)
class Pace:
    """How much is measured: processes of each side, turns, and the seconds that warm-up and turns may take."""

    processes: int = PROCESSES
    turns: int = TURNS
    warm_up: float = WARM_UP_SECONDS
    most: float = MOST_SECONDS


SHORT: Final = Pace(2, 5, 0.4, 1.0)
"""For a ranking of many files: half the processes, so that nothing is to be called a gain by it."""


@dataclass(frozen=True)
class Subject:
    """A file that is timed: its task, its stored samples, and how its processes are started."""

    task: Task
    file: Path
    samples: Path
    threads: int
    environment: tuple[tuple[str, str], ...] = ()


class Stopwatch:
    """Times variants; a context manager. The float model's processes and A/A run serve one profile after another."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._base: _Side | None = None
        self._pace = pace or Pace()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def rest(self) -> None:
        """End the float model's processes; the next measurement starts them again."""
        if self._base is not None:
            self._base.close()
        self._base = None

    def measure(self, variant: Path, inputs: Path, base: Path, base_inputs: Path, profile: Profile) -> Timing | None:
        """The variant's latency beside the float model's; None where the target's engine cannot be timed here.

        `variant` and `base` are model files, `inputs` and `base_inputs` .npy of stored samples for each. The float
        model runs on the CPU for an accelerator that takes no float file.

        Raises:
            ConverterError: the engine does not run one of the files.
            WorkerDied: it crashed.
        """
        task = TIME.get((profile.engine, profile.accelerator))
        if task is None:
            return None
        base_task = TIME[profile.engine, Accelerator.CPU] if profile.accelerator is Accelerator.QNN_HTP else task
        environment = tuple(vulkan.environment().items()) if profile.accelerator is Accelerator.GPU else ()
        stand_in = _stand_in(profile.accelerator)
        count = 1 if stand_in else self._pace.processes
        floats = self._side(Subject(base_task, base, base_inputs, profile.threads, environment), count)
        with _Side(Subject(task, variant, inputs, profile.threads, environment), count) as side:
            warm_up([side], self._pace)
            ours, theirs = in_turns([side, floats], self._pace)
        medians, base_medians = block_medians(ours), block_medians(theirs)
        floats.seen.append(base_medians)
        spread = aa_spread(np.concatenate(floats.seen, axis=1))
        return Timing(
            summarise(flatten(ours)),
            summarise(flatten(theirs)),
            None if stand_in else compare(medians, base_medians, spread),
            f"{describe_machine()}, {profile.engine} on {stand_in or profile.accelerator}, {profile.threads} threads; "
            "not the target itself",
        )

    def _side(self, subject: Subject, count: int) -> _Side:
        if self._base is None or self._base.subject != subject:
            self.rest()
            self._base = _Side(subject, count)
            self._base.run_alone(self._pace)
        return self._base


class _Side:
    """Processes of one file. A context manager."""

    def __init__(self, subject: Subject, count: int) -> None:
        self.subject, self.count = subject, count
        self.seen: list[Medians] = []
        """Of every run so far: by how much the processes of this very file differ."""
        self._stack = ExitStack()
        try:
            self.workers = [self._stack.enter_context(Worker(dict(subject.environment))) for _ in range(count)]
            for worker in self.workers:  # all at once: each loads its engine
                worker.ask(subject.task, **self._arguments(0.0))
            for worker in self.workers:
                worker.answer(subject.task)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._stack.close()

    def block(self, number: int) -> list[float]:
        """Microseconds of some successive inferences of one process."""
        taken: list[float] = self.workers[number].call(self.subject.task, **self._arguments(BLOCK_SECONDS))[
            "microseconds"
        ]
        return taken

    def run_alone(self, pace: Pace) -> None:
        """The A/A run: the processes of this very file in turns."""
        warm_up([self], pace)
        (blocks,) = in_turns([self], pace)
        self.seen.append(block_medians(blocks))

    def _arguments(self, seconds: float) -> dict[str, str | int | float]:
        subject = self.subject
        return {
            "model": str(subject.file),
            "inputs": str(subject.samples),
            "threads": subject.threads,
            "seconds": seconds,
        }


def warm_up(sides: Sequence[_Side], pace: Pace) -> None:
    """Run every process until its successive blocks get no faster; bounded, for some never settle."""
    start = time.monotonic()
    waiting: dict[tuple[int, int], list[float]] = {
        (side, number): [] for side, each in enumerate(sides) for number in range(each.count)
    }
    while waiting and time.monotonic() - start < pace.warm_up:
        for (side, number), medians in list(waiting.items()):
            block = sides[side].block(number)
            medians.append(sorted(block)[len(block) // 2])
            if is_flat(medians):
                del waiting[side, number]


def in_turns(sides: Sequence[_Side], pace: Pace) -> list[list[Blocks]]:
    """[side][process][turn]: each process once in a turn, the sides alternating, every other turn backwards."""
    order = [(side, number) for number in range(sides[0].count) for side in range(len(sides))]
    kept: list[list[Blocks]] = [[[] for _ in range(side.count)] for side in sides]
    start = time.monotonic()
    for turn in range(pace.turns):
        if turn and time.monotonic() - start > pace.most:
            break
        for side, number in order if turn % 2 == 0 else reversed(order):
            kept[side][number].append(sides[side].block(number))
    return kept


def _stand_in(accelerator: Accelerator) -> str:
    """What in software takes the accelerator's place here; empty where the accelerator itself runs."""
    if accelerator is Accelerator.QNN_HTP and platform.machine() == "x86_64":
        return "the tensor processor's simulator"
    if accelerator is Accelerator.GPU and vulkan.environment():
        return "a GPU in software"
    return ""
