"""The options that are picked give enough, and no other choice that does costs less."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.passes.allocation import allocate


@given(st.data(), st.lists(st.integers(2, 4), min_size=1, max_size=4))
def test_no_choice_that_gives_enough_costs_less(data, sizes):
    parts = []
    for size in sizes:
        costs = data.draw(st.lists(st.integers(0, 50), min_size=size - 1, max_size=size - 1))
        gives = data.draw(st.lists(st.integers(1, 40), min_size=size - 1, max_size=size - 1))
        parts.append((np.array([0, *costs], float), np.array([0, *gives])))
    costs, gives = [cost for cost, _ in parts], [give for _, give in parts]
    target = data.draw(st.integers(0, sum(int(give.max()) for give in gives)))

    picked = allocate(costs, gives, target)

    def total(values, options):
        return sum(each[option] for each, option in zip(values, options, strict=True))

    enough = [each for each in product(*(range(size) for size in sizes)) if total(gives, each) >= target]
    assert total(gives, picked) >= target
    assert total(costs, picked) == min(total(costs, each) for each in enough)


def test_large_counts_are_weighed_in_coarser_steps():
    rng = np.random.default_rng(0)
    sizes = rng.integers(10**5, 10**6, 12)
    gives = [np.array([0, size // 2, size]) for size in sizes]
    costs = [np.array([0.0, 1.0, 4.0]) * size for size in sizes]
    target = sum(int(give[1]) for give in gives)

    picked = allocate(costs, gives, target)

    assert sum(int(give[option]) for give, option in zip(gives, picked, strict=True)) >= target
    cheapest = sum(float(cost[1]) for cost in costs)
    assert sum(float(cost[option]) for cost, option in zip(costs, picked, strict=True)) < 1.05 * cheapest


def test_more_than_there_is_cannot_be_had():
    with pytest.raises(ValueError, match="at most 5"):
        allocate([np.array([0.0, 1.0])], [np.array([0, 5])], 6)
