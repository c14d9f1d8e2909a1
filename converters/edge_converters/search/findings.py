"""What a search found, and which of it is taken. Pure.

Costs are three, less is better in each: what is lost in ranking, the time of an inference, the bytes of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_converters.fronts import front
from edge_converters.recipes import Recipe

RULE: Final = (
    "of the recipes on the front that lose no more in ranking than is allowed the fastest, of those within 5 % of it "
    "the smallest; where none does, the one that loses least"
)
ALIKE: Final = 1.05
"""Times within this factor are no difference: two short measurements of the same file differ by as much."""


@dataclass(frozen=True)
class Costs:
    """Of a recipe that was made and ran.

    `drop` is its loss in ranking; `error` how far its answers lie from the source's, by which equal drops are told
    apart; `time` in the unit that the search's report names.
    """

    drop: float
    error: float
    time: float
    size_bytes: int

    def loss(self, samples: int) -> float:
        """The drop, and less than half a sample's worth for the error: it decides between equal drops alone."""
        return self.drop + 0.49 / samples * self.error / (1 + self.error)


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried; `costs` is None if it broke a check, and `sentence` says which."""

    recipe: Recipe
    costs: Costs | None
    sentence: str = ""


@dataclass(frozen=True)
class Found:
    """A search's outcome: its recipes, each once, in the order in which they were tried.

    `front` and `taken` are places in `trials`: what nothing else beats in everything, and what is judged.
    """

    sampler: str
    study: str | None
    """The name under which others may go on with it; None where it is not kept."""
    proposals: int
    """How many recipes were proposed, repetitions counted."""
    time_unit: str
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    taken: int | None
    rule: str = RULE

    @property
    def recipe(self) -> Recipe | None:
        """The one that is judged; None if every one broke a check."""
        return None if self.taken is None else self.trials[self.taken].recipe


def best(trials: Sequence[Trial], samples: int) -> tuple[int, ...]:
    """The places of those that nothing else beats in everything. `samples`: of the ranking split."""
    ran = [(place, each.costs) for place, each in enumerate(trials) if each.costs is not None]
    costs = [(each.loss(samples), each.time, float(each.size_bytes)) for _, each in ran]
    return tuple(ran[index][0] for index in front(costs))


def choose(trials: Sequence[Trial], places: Sequence[int], samples: int, max_drop: float) -> int | None:
    """By `RULE`; of equals the earlier."""
    known = {place: costs for place in places if (costs := trials[place].costs) is not None}
    if not known:
        return None
    good = {place: costs for place, costs in known.items() if costs.drop <= max_drop}
    if not good:
        return min(known, key=lambda place: (known[place].loss(samples), known[place].size_bytes, place))
    fastest = min(costs.time for costs in good.values())
    near = [place for place, costs in good.items() if costs.time <= fastest * ALIKE]
    return min(near, key=lambda place: (good[place].size_bytes, good[place].loss(samples), place))
