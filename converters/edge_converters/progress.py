"""What a conversion does now, told while it does it, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_converters.tasks import Task

OnStep = Callable[[str, int, int], None]
"""Called with what is done now, how many steps are done, and how many there are; often within a long step."""


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


@dataclass(frozen=True)
class Step:
    """A step that is over."""

    what: str
    seconds: float


class Steps:
    """The steps of a conversion, one after the other."""

    def __init__(self, tell: OnStep = silent) -> None:
        self.taken: list[Step] = []
        self._tell, self._total = tell, 0
        self._what, self._detail, self._start = "", "", time.monotonic()

    def expect(self, total: int) -> None:
        """There will be so many."""
        self._total = total

    def begin(self, what: str) -> None:
        """The step before is over; `what` is done now."""
        self._close()
        self._what, self._detail, self._start = what, "", time.monotonic()
        self._show()

    def say(self, detail: str) -> None:
        """A part of the step begins."""
        self._detail = detail
        self._show()

    def finish(self) -> tuple[Step, ...]:
        """Every step is over; how long each took."""
        self._close()
        self._what = ""
        self._tell("done", self._total, self._total)
        return tuple(self.taken)

    def progressed(self, task: Task, done: int, total: int) -> None:
        """A child is so far with a long task."""
        self._show(f"{task} {done} of {total}")

    def _close(self) -> None:
        if self._what:
            self.taken.append(Step(self._what, round(time.monotonic() - self._start, 3)))

    def _show(self, last: str = "") -> None:
        words = ": ".join(part for part in (self._what, self._detail, last) if part)
        self._tell(words, min(len(self.taken), self._total), self._total)
