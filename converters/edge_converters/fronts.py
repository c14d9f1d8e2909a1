"""The Pareto front: what nothing else beats in everything at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence

Costs = tuple[float, ...]
"""Of one candidate; less is better in each."""


def front(candidates: Sequence[Costs]) -> tuple[int, ...]:
    """The places of those that no other beats or equals in everything while beating it in something, in order."""
    return tuple(
        place for place, costs in enumerate(candidates) if not any(dominates(other, costs) for other in candidates)
    )


def dominates(one: Costs, other: Costs) -> bool:
    """Whether `one` is nowhere worse and somewhere better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other
