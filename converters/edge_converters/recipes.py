"""Recipes: the ordered, parameterised passes that make a variant. Data with a digest; nothing here computes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from edge_contracts.ids import Digest
from edge_contracts.manifest import Accelerator
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

Parameter = str | int | float | bool


class Ranges(StrEnum):
    """How the ranges of activations are chosen from what calibration shows."""

    MIN_MAX = "min-max"
    BEST = "best"
    """For each tensor the range that leaves its readers the least output error."""


@dataclass(frozen=True)
class Call:
    """A pass by its name in passes.table, with its parameters."""

    name: str
    parameters: tuple[tuple[str, Parameter], ...] = ()

    def __str__(self) -> str:
        given = ", ".join(f"{name} {value}" for name, value in self.parameters)
        return f"{self.name} ({given})" if given else self.name


@dataclass(frozen=True)
class Recipe:
    """What is done to a canonical float model: passes in order, then the numeric scheme."""

    scheme: Scheme
    passes: tuple[Call, ...] = ()
    ranges: Ranges = Ranges.MIN_MAX
    keep: tuple[str, ...] = ()
    """Layers that stay float: mixed precision."""
    coarse: bool = False
    """Dense layers whose channels are alike have one scale for all of them, which saves 16 bytes a channel."""

    def __str__(self) -> str:
        ranges = [] if self.ranges is Ranges.MIN_MAX else [f"{self.ranges} ranges"]
        kept = [f"{len(self.keep)} layers kept in float"] if self.keep else []
        coarse = ["one scale for dense layers of alike channels"] if self.coarse else []
        return " + ".join([self.scheme, *map(str, self.passes), *ranges, *kept, *coarse])

    @property
    def prunes(self) -> bool:
        """Whether single weights are made zero."""
        return any(call.name == "prune" for call in self.passes)

    def as_json(self) -> dict[str, Any]:
        """Plain values, in the order of the work."""
        passes = [{"name": call.name, **dict(call.parameters)} for call in self.passes]
        plain: dict[str, Any] = {"scheme": str(self.scheme), "passes": passes, "ranges": str(self.ranges)}
        return {**plain, "keep": list(self.keep), "coarse": self.coarse}

    @property
    def digest(self) -> Digest:
        """The same for the same passes and parameters."""
        return Digest.of(json.dumps(self.as_json(), sort_keys=True).encode())


@dataclass(frozen=True)
class Mixed:
    """A recipe that is still to be found: a recipe of `base.scheme`, with those layers in float that need it most."""

    base: Recipe
    """What is taken if no recipe of the scheme was made before."""

    def __str__(self) -> str:
        return f"{self.base.scheme} + some layers kept in float"


Plan = Recipe | Mixed

CANONICALISE: Final = (Call("fold-batch-normalisation"), Call("remove-dead-channels"))
"""Done once for every format, before anything is compared: they change nothing but rounding."""

QUANTISED: Final = frozenset({Scheme.INT8, Scheme.INT16X8, Scheme.QDQ_U8S8, Scheme.QDQ_S8S8, Scheme.QDQ_U16S8})
"""Schemes with stored activations."""
CALIBRATED: Final = frozenset({Scheme.INT8, Scheme.INT16X8, Scheme.QDQ_U8S8, Scheme.QDQ_S8S8})
"""Schemes whose ranges can be chosen."""
COARSE: Final = frozenset({Scheme.INT8})
"""Schemes that can have one scale for a dense layer."""
MIXABLE: Final = frozenset({Scheme.INT8, Scheme.QDQ_U8S8, Scheme.QDQ_S8S8})
"""Schemes that can keep layers in float, on a target that has float kernels beside the others."""

EQUALISE: Final = Call("equalise")
ROUND: Final = Call("round-weights")
CORRECT: Final = Call("correct-biases")

Effort = tuple[tuple[Call, ...], Ranges]

MENDING: Final[tuple[Effort, ...]] = (
    ((), Ranges.MIN_MAX),
    ((), Ranges.BEST),
    ((EQUALISE, CORRECT), Ranges.BEST),
    ((EQUALISE, ROUND), Ranges.BEST),
)
EFFORTS: Final = dict.fromkeys((Scheme.INT8, Scheme.QDQ_U8S8, Scheme.QDQ_S8S8), MENDING)
"""The fallback ladder within a scheme, the cheapest first. With 16-bit activations there is nothing left to mend."""
PLAIN: Final[tuple[Effort, ...]] = (((), Ranges.MIN_MAX),)


def rungs(profile: Profile, first: Sequence[Call] = (), effort: int = 0) -> tuple[Plan, ...]:
    """What is tried for a profile, in order.

    `first` are passes the user asked for, before all others: pruning, factorisation. The first `effort` rungs of each
    scheme are left out, but for its last recipe.
    """
    found: list[Plan] = []
    for scheme in profile.schemes:
        efforts = EFFORTS.get(scheme, PLAIN)
        rest = efforts[min(effort, len(efforts) - 1) :]
        recipes = [Recipe(scheme, (*first, *passes), ranges) for passes, ranges in rest]
        found += recipes
        if scheme in COARSE and profile.budgets.size is not None:
            found.append(Recipe(scheme, tuple(first), coarse=True))
        if can_mix(profile, scheme):
            found.append(Mixed(recipes[-1]))
    return tuple(found)


def can_mix(profile: Profile, scheme: Scheme) -> bool:
    """Whether the target has float kernels beside those of the scheme, in one file."""
    return scheme in MIXABLE and profile.accelerator is Accelerator.CPU
