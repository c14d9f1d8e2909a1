"""Which layers stay float: ranked one by one, the shortest beginning of the ranking that is enough, then thinned. Pure.

Ranked by what the quantisation of a layer alone costs, and the most sensitive left in float until the accuracy is kept:
Wu et al., "Integer Quantization for Deep Learning Inference: Principles and Empirical Evaluation", 2020, section 5,
partial quantisation; Dong et al., "HAWQ", ICCV 2019, for mixed precision by sensitivity. All on the ranking split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_converters.ladder import Budget

Keep = frozenset[str]
"""Layers that stay float."""


@dataclass(frozen=True)
class Seen:
    """What a file with some layers in float lost in ranking, and how far its answers were from the source's.

    `drop` is None if the file broke a check.
    """

    drop: float | None
    error: float


@dataclass(frozen=True)
class Measure:
    """Make a file with these layers in float and see."""

    keep: Keep


@dataclass(frozen=True)
class Settle:
    """These layers stay float. `enough`: with them the accuracy is kept; else they are those that lost least."""

    keep: Keep
    enough: bool


@dataclass(frozen=True)
class NoMix:
    """Nothing was found that may be kept: too few layers, or the budget went on the ranking."""


Step = Measure | Settle | NoMix


def next_mix(
    layers: Sequence[str], seen: Mapping[Keep, Seen], max_drop: float, budget: Budget, spent: float = 0.0
) -> Step:
    """The next file to make for a network with these `layers`, none of which may be float alone: they lose too much.

    At most half of the layers are kept. `seen` are the files so far, `spent` the seconds they took.
    """
    over = bool(seen) and (spent > budget.seconds or len(seen) >= budget.mixes)
    found = _searched(layers, seen, max_drop)
    return _best(layers, seen, max_drop) if over and isinstance(found, Measure) else found


def ranked(layers: Sequence[str], seen: Mapping[Keep, Seen]) -> tuple[str, ...]:
    """The layers, the most sensitive first; one whose quantisation breaks a check before all others."""
    alone = {layer: seen[_all_but(layers, layer)] for layer in layers}
    return tuple(sorted(layers, key=lambda layer: (alone[layer].drop is not None, -alone[layer].error)))


def rankings(layers: Sequence[str]) -> Iterator[Keep]:
    """What has to be seen before the layers can be ranked."""
    return (_all_but(layers, layer) for layer in layers)


def _searched(layers: Sequence[str], seen: Mapping[Keep, Seen], max_drop: float) -> Step:
    most = len(layers) // 2
    if not most:
        return NoMix()
    unranked = next((keep for keep in rankings(layers) if keep not in seen), None)
    if unranked is not None:
        return Measure(unranked)
    order = ranked(layers, seen)
    low, high = 0, most
    while high - low > 1 or frozenset(order[:high]) not in seen:
        place = high if frozenset(order[:high]) not in seen else (low + high) // 2
        keep = frozenset(order[:place])
        if keep not in seen:
            return Measure(keep)
        low, high = (low, place) if _enough(seen[keep], max_drop) else (place, high)
    if not _enough(seen[frozenset(order[:high])], max_drop):
        return _best(layers, seen, max_drop)
    return _thinned(order[:high], seen, max_drop)


def _thinned(kept: Sequence[str], seen: Mapping[Keep, Seen], max_drop: float) -> Step:
    """One sweep from the least sensitive on: what can do without float goes back."""
    left = frozenset(kept)
    for layer in reversed(kept):
        fewer = left - {layer}
        if not fewer:
            break
        if fewer not in seen:
            return Measure(fewer)
        left = fewer if _enough(seen[fewer], max_drop) else left
    return Settle(left, enough=True)


def _best(layers: Sequence[str], seen: Mapping[Keep, Seen], max_drop: float) -> Step:
    """Of what may be kept: the fewest layers that are enough, else the least loss."""
    allowed = [keep for keep in seen if 0 < len(keep) <= len(layers) // 2]
    runs = [(drop, keep) for keep in allowed if (drop := seen[keep].drop) is not None]
    if not runs:
        return NoMix()
    good = [keep for drop, keep in runs if drop <= max_drop]
    if good:
        return Settle(min(good, key=lambda keep: (len(keep), sorted(keep))), enough=True)
    return Settle(min(runs, key=lambda run: (run[0], len(run[1]), sorted(run[1])))[1], enough=False)


def _enough(each: Seen, max_drop: float) -> bool:
    return each.drop is not None and each.drop <= max_drop


def _all_but(layers: Sequence[str], layer: str) -> Keep:
    return frozenset(layers) - {layer}
