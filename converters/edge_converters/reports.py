"""What a conversion found, in frozen values: for the person who reads it and, as JSON, for the bundle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_contracts.manifest import Figure
from edge_converters.gains import Gain
from edge_converters.guard import Guard, Judgement, Verdict
from edge_converters.layers import LayerError
from edge_converters.making import PassStep, WeightedLayer
from edge_converters.memory import Memory
from edge_converters.recipes import Recipe
from edge_converters.robustness.findings import Robustness
from edge_converters.search.findings import Found
from edge_converters.timings import Comparison, Latency
from edge_converters.training import Lesson

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Candidate:
    """One recipe tried for a profile. `sentence` says in words how it ended.

    Only the one that ranking chose has a judgement; the others' verdict is `fail`.
    """

    scheme: str
    verdict: Verdict
    sentence: str
    hint: str = ""
    judgement: Judgement | None = None
    ranking_drop: float | None = None
    """Or that of a slice that failed there, if it is larger."""
    size_bytes: int | None = None
    recipe: Recipe | None = None
    settled: bool = True
    """False where a process died: the same again may end otherwise."""

    @property
    def name(self) -> str:
        """Its recipe in words."""
        return str(self.recipe or self.scheme)


@dataclass(frozen=True)
class ProfileReport:
    """What became of a profile. `variant` is None if nothing is shipped for it; `hint` says what to do then."""

    profile: str
    verdict: Verdict
    variant: str | None
    taken: str | None
    """The recipe that was judged, in words; None if every one broke a check."""
    candidates: tuple[Candidate, ...]
    hint: str = ""
    target: str = ""
    """How the variant ran on the target's engine."""
    float_bytes: int | None = None
    latency: Latency | None = None
    float_latency: Latency | None = None
    figures: dict[str, Figure] | None = None
    comparison: Comparison | None = None
    """What the two latencies say; None if they were not taken, or something in software stands for the target."""
    recipe: Recipe | None = None
    steps: tuple[PassStep, ...] = ()
    """What each pass left; the first is the float file before them."""
    test: Judgement | None = None
    """Of the test split, if there is one: no choice and no verdict rests on it."""
    layers: tuple[LayerError, ...] = ()
    """From input to output, those that both models have."""
    robustness: Robustness | None = None
    """None where it was not asked for."""
    gain: Gain | None = None
    """What taking weights away brought and cost, if any were; of a variant that did not pass, too."""
    kept: tuple[WeightedLayer, ...] = ()
    """Layers in float."""
    search: Found | None = None
    """None where the ladder was climbed."""
    from_cache: str | None = None
    """When it was made and measured, in UTC, if it was not made anew."""

    @property
    def best(self) -> Candidate:
        """The recipe that was judged, or the last that broke a check."""
        return best_of(self.candidates, self.taken)


@dataclass(frozen=True)
class Conversion:
    """The outcome. `bundle` is None unless every profile passed."""

    verdict: Verdict
    bundle: Path | None
    reports: tuple[ProfileReport, ...]
    metric: str
    guard: Guard
    source: str
    parity: dict[str, float]
    samples: dict[str, int]
    measured_on: str
    memory: Memory | None = None
    error: bool = False
    """The metric is an error, less is better, and a drop is its rise as a share; else all three are shares."""
    remarks: tuple[str, ...] = ()
    """What is odd about the data."""
    lessons: tuple[Lesson, ...] = ()
    """What training led to, step by step; empty if the source was converted as it is."""


def best_of(candidates: Sequence[Candidate], taken: str | None) -> Candidate:
    """The one that was taken; if none was, the last."""
    return next((each for each in candidates if each.name == taken), candidates[-1])


ORDER: Final = (Verdict.PASS, Verdict.UNDECIDABLE, Verdict.UNREACHABLE, Verdict.FAIL)
"""From good to bad: the worst of its profiles is a conversion's verdict."""


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of them."""
    return max(verdicts, key=ORDER.index)


def as_json(report: DataclassInstance) -> dict[str, Any]:
    """Plain values for JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(report), default=_plain))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Figure):
        return value.model_dump(exclude_none=True)
    return value.isoformat() if isinstance(value, datetime) else str(value)
