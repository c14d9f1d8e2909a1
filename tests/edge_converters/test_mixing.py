"""Which layers stay float: enough of them, none for nothing, at most half, within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edge_converters.ladder import Budget
from edge_converters.mixing import Keep, Measure, NoMix, Seen, Settle, Step, next_mix

MOST = 0.01
LAYERS = tuple("abcdefgh")
Model = Callable[[Keep], Seen]


def searched(
    model: Model, layers: tuple[str, ...] = LAYERS, budget: Budget | None = None
) -> tuple[Step, dict[Keep, Seen]]:
    seen: dict[Keep, Seen] = {}
    while isinstance(step := next_mix(layers, seen, MOST, budget or Budget()), Measure):
        assert step.keep not in seen
        seen[step.keep] = model(step.keep)
    return step, seen


def losing(costs: dict[str, float]) -> Model:
    """A model whose layers each lose so much when they are quantised."""
    return lambda keep: Seen(lost := sum(cost for layer, cost in costs.items() if layer not in keep), lost)


costs = st.lists(st.sampled_from((0.0, 0.001, 0.004, 0.02, 0.3)), min_size=2, max_size=10)


@given(costs)
def test_what_is_kept_is_enough_and_no_layer_is_kept_for_nothing(values: list[float]):
    layers = tuple(f"layer {number}" for number in range(len(values)))
    model = losing(dict(zip(layers, values, strict=True)))

    step, seen = searched(model, layers)

    assert isinstance(step, Settle)
    assert 0 < len(step.keep) <= len(layers) // 2
    worst = sorted(layers, key=lambda name: -model(frozenset(layers) - {name}).error)
    assert step.enough == ok(model, frozenset(worst[: len(layers) // 2]))
    if step.enough:
        assert all(not ok(model, step.keep - {layer}) for layer in step.keep if len(step.keep) > 1)
    assert len(seen) <= 1.5 * len(layers) + math.log2(len(layers)) + 2


def ok(model: Model, keep: Keep) -> bool:
    drop = model(keep).drop
    return drop is not None and drop <= MOST


def test_the_one_layer_that_loses_all_is_the_one_kept():
    step, _ = searched(losing({"d": 0.4, "a": 0.002}))

    assert step == Settle(frozenset("d"), enough=True)


def test_layers_that_are_needed_together_are_kept_together():
    def model(keep: Keep) -> Seen:
        return Seen(0.0 if {"b", "g"} <= keep else 0.2, 0.3 * ("b" not in keep) + 0.2 * ("g" not in keep))

    assert searched(model)[0] == Settle(frozenset("bg"), enough=True)


def test_a_layer_that_breaks_a_check_when_it_is_quantised_is_kept_first():
    def model(keep: Keep) -> Seen:
        return Seen(0.0 if "c" in keep else None, 0.1 if "c" in keep else math.inf)

    assert searched(model)[0] == Settle(frozenset("c"), enough=True)


def test_where_half_of_the_layers_are_too_few_the_least_loss_is_told():
    step, _ = searched(losing(dict.fromkeys(LAYERS, 0.1)))

    assert isinstance(step, Settle)
    assert not step.enough
    assert len(step.keep) == len(LAYERS) // 2


def test_a_budget_that_goes_on_the_ranking_finds_nothing_and_one_that_lasts_longer_the_best_so_far():
    model = losing({"d": 0.4, "a": 0.02})

    assert searched(model, budget=Budget(mixes=5))[0] == NoMix()
    step, seen = searched(model, budget=Budget(mixes=len(LAYERS) + 1))
    assert isinstance(step, Settle)
    assert {"a", "d"} <= step.keep
    assert step.enough
    assert len(seen) == len(LAYERS) + 1


def test_a_single_layer_is_not_left_in_float():
    assert searched(losing({"a": 1.0}), ("a",))[0] == NoMix()


def test_time_is_a_budget_too():
    seen = {frozenset("ab"): Seen(0.0, 0.1)}

    assert next_mix(LAYERS, seen, MOST, Budget(seconds=1), spent=2) == Settle(frozenset("ab"), enough=True)
