"""How much each layer gives, so that the network gives enough and errs least: a knapsack over measured costs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from edge_converters.networks import Array

UNITS: Final = 2000
"""The target is divided into so many steps."""


def allocate(costs: Sequence[Array], gives: Sequence[Array], target: int) -> list[int]:
    """For each part the index of its option, so that the options together give at least `target` at the least cost.

    `costs[i]` and `gives[i]` are the options of part i ([options]; the first gives nothing); costs are taken to add up.

    Raises:
        ValueError: all together cannot give as much.
    """
    if sum(int(each.max()) for each in gives) < target:
        raise ValueError(f"the target is {target}, and all together give at most {sum(int(e.max()) for e in gives)}")
    unit = max(1.0, target / UNITS)
    goal = int(np.ceil(target / unit - 1e-9))
    best = np.full(goal + 1, np.inf)
    best[0] = 0
    choices = []
    for cost, give in zip(costs, gives, strict=True):
        best, choice = _with_part(best, cost, np.floor(give / unit).astype(int))
        choices.append(choice)
    if not np.isfinite(best[goal]):  # rounding down took the last bit away
        return [int(each.argmax()) for each in gives]
    return _walked_back(choices, [np.floor(each / unit).astype(int) for each in gives], goal)


def _with_part(best: Array, cost: Array, give: Array) -> tuple[Array, Array]:
    """The least cost of giving at least 0 ... goal with one more part, and its option in each case."""
    goal = len(best) - 1
    before = np.maximum(np.arange(goal + 1)[:, None] - give[None, :], 0)
    total = best[before] + cost[None, :]
    option = total.argmin(axis=1)
    return total[np.arange(goal + 1), option], option


def _walked_back(choices: list[Array], gives: list[Array], goal: int) -> list[int]:
    picked: list[int] = []
    left = goal
    for choice, give in zip(reversed(choices), reversed(gives), strict=True):
        option = int(choice[left])
        picked.append(option)
        left = max(0, left - int(give[option]))
    return picked[::-1]
