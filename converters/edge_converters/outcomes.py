"""What became of a conversion's profiles, and what is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass

from edge_contracts.manifest import Answers, Variant
from edge_converters.metrics import Task
from edge_converters.reports import ProfileReport
from edge_converters.training import Lesson


@dataclass(frozen=True)
class Basis:
    """What is the same for all profiles of a conversion and goes into its report and manifest."""

    metric: str
    task: Task
    answers: Answers | None
    """The source's own, of all evaluation data; None if it classifies nothing."""
    error: bool = False
    """The metric is an error: less is better."""
    lessons: tuple[Lesson, ...] = ()
    """What training led to, if the source was trained."""
    doubt: str | None = None
    """Whether labels and samples can be right, if the source's own answers leave a doubt."""


@dataclass(frozen=True)
class Made:
    """A profile's report and, if something is shipped, the manifest's entry with its files."""

    report: ProfileReport
    variant: Variant | None = None
    files: dict[str, bytes] | None = None


@dataclass(frozen=True)
class Outcome:
    """A profile's outcome, and the largest difference of the float file that it was made from to the source."""

    made: Made
    parity: float
    float_bytes: int
    kept: str | None = None
    """When it was kept, in UTC; None if it was made now."""
