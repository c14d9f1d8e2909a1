"""What a user asks of a search."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sampler(StrEnum):
    """Who proposes the next recipe."""

    GRID = "grid"
    """Every recipe of the space, in an order by chance."""
    RANDOM = "random"
    TPE = "tpe"
    """Tree-structured Parzen estimators: Bergstra et al., NIPS 2011; of several objectives Ozaki et al., GECCO 2020."""
    NSGA2 = "nsga2"
    """A genetic algorithm: Deb et al., IEEE Transactions on Evolutionary Computation 6, 2002."""


@dataclass(frozen=True)
class SearchPlan:
    """`trials` of all workers together and `seconds` of this one, whichever ends first.

    Workers that name the same `storage` (a database's URL) and `study` share one search, and a search that was broken
    off goes on there; without `storage` it is forgotten at the end.
    """

    trials: int
    seconds: float | None = None
    sampler: Sampler = Sampler.TPE
    storage: str | None = None
    study: str = "edge-sdk"
