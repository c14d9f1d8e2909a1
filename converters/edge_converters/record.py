"""The record of a conversion: what it depended on and what it took, for whoever asks how a file came about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edge_contracts.ids import Digest
from edge_converters.guard import Guard
from edge_converters.memory import Memory
from edge_converters.progress import Step
from edge_converters.recipes import Recipe
from edge_converters.training import Lesson

RECORD_FILE: Final = "record.json"


@dataclass(frozen=True)
class Origin:
    """The source model."""

    name: str
    kind: str
    digest: Digest


@dataclass(frozen=True)
class Inputs:
    """The digests of the splits, and how many samples each has."""

    digests: dict[str, Digest]
    samples: dict[str, int]


@dataclass(frozen=True)
class VariantRecord:
    """How one profile's variant came about."""

    profile: str
    scheme: str | None
    recipe: Recipe | None
    recipe_digest: Digest | None
    from_cache: str | None
    """When it was made, if this conversion took it from the cache."""


@dataclass(frozen=True)
class Record:
    """A conversion. All but `began`, `steps`, `memory` and what came from the cache is the same the next time."""

    source: Origin
    data: Inputs
    guard: Guard
    seed: int
    variants: tuple[VariantRecord, ...]
    versions: dict[str, str]
    code: Digest
    settings: dict[str, str]
    """Variables that the libraries' processes ran with."""
    machine: str
    began: datetime
    steps: tuple[Step, ...]
    memory: Memory
    lessons: tuple[Lesson, ...] = ()
    """How the source was trained, with what parameters, before it was converted."""
