"""The recipes that a search may propose for a profile: axes with few values, and the recipe at a point of them. Pure.

Weights that are zero one by one make no file smaller and no kernel here faster, so that their pruning is no axis: ask
for it, and every recipe begins with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, Protocol

from edge_converters.calls import call
from edge_converters.recipes import COARSE, CORRECT, EFFORTS, EQUALISE, ROUND, Call, Ranges, Recipe, can_mix
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

# The first value of each axis is the one that does nothing.
CHANNELS: Final = (0.0, 0.125, 0.25, 0.375, 0.5)
"""Of the multiplications that are saved by whole channels; 0: none go."""
ENERGIES: Final = (1.0, 0.999, 0.99)
"""Of the variance that factorised layers keep; 1: none is factorised."""
MENDINGS: Final[Mapping[str, tuple[Call, ...]]] = {
    "none": (),
    "correct-biases": (CORRECT,),
    "round-weights": (ROUND,),
    "equalise + correct-biases": (EQUALISE, CORRECT),
    "equalise + round-weights": (EQUALISE, ROUND),
}
KEPT: Final = (0, 1, 2, 4)
"""Of the layers with weights, the most sensitive ones, that stay float."""
SCALES: Final = ("each channel", "alike layers")
"""Of weights: one for each channel, or one for all of a dense layer whose channels are alike."""

Value = str | float
Point = Mapping[str, Value]


class Pick(Protocol):
    """Takes one of the values of an axis."""

    def __call__(self, axis: str, values: Sequence[Value], /) -> Value: ...


@dataclass(frozen=True)
class Space:
    """Of one profile. `first` are passes that every recipe begins with."""

    profile: Profile
    first: tuple[Call, ...] = ()

    def draw(self, pick: Pick, ranked: Callable[[Recipe], Sequence[str]]) -> Recipe:
        """The recipe at the point that `pick` chooses, axis by axis; asks only for those that the scheme has.

        `ranked` tells a recipe's layers, the most sensitive first; it is asked only where some are to stay float.
        """
        scheme = Scheme(str(pick("scheme", [str(each) for each in self.profile.schemes])))
        passes = [*self.first, *self._smaller(pick)]
        if scheme not in EFFORTS:
            return Recipe(scheme, tuple(passes))
        passes += MENDINGS[str(pick("mending", tuple(MENDINGS)))]
        recipe = Recipe(scheme, tuple(passes), Ranges(str(pick("ranges", [str(each) for each in Ranges]))))
        if scheme in COARSE:
            recipe = replace(recipe, coarse=pick("scales", SCALES) == SCALES[1])
        count = int(pick("keep", KEPT)) if can_mix(self.profile, scheme) else 0
        return keeping(recipe, ranked(recipe), count) if count else recipe

    def _smaller(self, pick: Pick) -> Iterator[Call]:
        """Channels first: that takes longest by far, and recipes that begin alike share the work."""
        named = {each.name for each in self.first}
        if "prune-channels" not in named and (share := float(pick("channels", CHANNELS))) > 0:
            yield call("prune-channels", {"share": share})
        if "factorise" not in named and (energy := float(pick("energy", ENERGIES))) < 1:
            yield call("factorise", {"energy": energy})

    def points(self) -> tuple[Point, ...]:
        """Every point once, without the values of axes that a scheme does not have."""
        found: list[Point] = []
        for scheme in self.profile.schemes:
            axes = self._axes(scheme)
            found += [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        return tuple(found)

    def plain(self) -> tuple[Point, ...]:
        """Each scheme with nothing done beside: where a search begins, so that its front is never behind these."""
        first = [{axis: values[0] for axis, values in self._axes(scheme).items()} for scheme in self.profile.schemes]
        return tuple(first)

    def _axes(self, scheme: Scheme) -> dict[str, Sequence[Value]]:
        """The axes that `draw` asks for when it meets `scheme`."""
        seen: dict[str, Sequence[Value]] = {}

        def pick(axis: str, values: Sequence[Value], /) -> Value:
            seen[axis] = [str(scheme)] if axis == "scheme" else values
            return seen[axis][0]

        self.draw(pick, lambda _: ())
        return seen


def keeping(recipe: Recipe, ranked: Sequence[str], count: int) -> Recipe:
    """The recipe with its `count` most sensitive layers in float, at most half of them."""
    return replace(recipe, keep=tuple(ranked[: min(count, len(ranked) // 2)]))
