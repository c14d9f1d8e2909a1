"""Pruned networks have exactly the zeros that were asked for, and answer far more like the original than others do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_converters.networks import Network
from edge_converters.passes.judging import answers, output_error
from edge_converters.passes.pruning import prune
from edge_converters.passes.surgeon import (
    BLOCK_OF_4,
    TWO_OF_FOUR,
    UNSTRUCTURED,
    Pattern,
    Problem,
    refit,
    removal_order,
    survivors,
)
from tests.support.networks import evidence, run, small_net

SEEDS = st.integers(0, 2**16)


def least_squares(seed: int, width: int = 9, outputs: int = 3) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Rows X and targets Y, and the problem of fitting them; the last column is the 1 of the bias."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, width)) @ rng.normal(size=(width, width))
    x[:, -1] = 1
    y = x @ rng.normal(size=(width, outputs)) + rng.normal(size=(60, outputs))
    hessian = x.T @ x
    return Problem(hessian, y.T @ x, np.linalg.inv(hessian)), x, y


def zeros(network: Network) -> int:
    return sum(int((layer.weight == 0).sum()) for layer in network.weighted_layers)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([UNSTRUCTURED, BLOCK_OF_4, Pattern(block=2)]))
def test_each_loss_is_the_error_that_least_squares_finds(seed, pattern):
    """The whole chain of updates against fits made from nothing."""
    problem, x, y = least_squares(seed)
    order = removal_order(problem, pattern, problem.best)
    for row in range(3):
        kept = np.ones(9, bool)
        error = ((x @ problem.best[row] - y[:, row]) ** 2).sum()
        for block in order.blocks[row]:
            choices = []
            for other in range(8 // pattern.block):
                trial = kept.copy()
                trial[other * pattern.block : (other + 1) * pattern.block] = False
                fitted = np.linalg.lstsq(x[:, trial], y[:, row], rcond=None)[0]
                choices.append(((x[:, trial] @ fitted - y[:, row]) ** 2).sum() if trial.sum() < kept.sum() else np.inf)
            assert choices[block] == pytest.approx(min(choices), rel=1e-6)
            kept[block * pattern.block : (block + 1) * pattern.block] = False
            error = choices[block]
        stays = np.zeros((3, 9), bool)
        stays[:, -1] = True
        assert ((x @ refit(problem, stays)[row] - y[:, row]) ** 2).sum() == pytest.approx(error, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 24))
def test_what_stays_is_the_end_of_each_rows_order(seed, count):
    problem, _, _ = least_squares(seed)
    order = removal_order(problem, UNSTRUCTURED, problem.best)

    (stays,) = survivors([order], UNSTRUCTURED, count, 9)

    assert (~stays).sum() == count
    assert stays[:, -1].all()
    for row, blocks in zip(stays, order.blocks, strict=True):
        gone = int((~row).sum())
        assert set(np.flatnonzero(~row)) == set(blocks[:gone])


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 50), st.sampled_from([0.2, 0.5, 0.73]), st.sampled_from([UNSTRUCTURED, BLOCK_OF_4]))
def test_exactly_so_many_weights_are_zero(seed, sparsity, pattern):
    network = small_net(seed)

    pruned = prune(network, evidence(network, 12), sparsity=sparsity, pattern=pattern)

    assert zeros(pruned) == round(sparsity * network.weight_count / pattern.block) * pattern.block
    assert [layer.weight.shape for layer in pruned.weighted_layers] == [
        layer.weight.shape for layer in network.weighted_layers
    ]


def test_nothing_is_pruned_where_nothing_is_asked():
    network = small_net()

    pruned = prune(network, evidence(network), sparsity=0)

    for before, after in zip(network.weighted_layers, pruned.weighted_layers, strict=True):
        np.testing.assert_allclose(after.weight, before.weight, atol=1e-5)


def test_two_of_four_neighbouring_input_channels_stay():
    network = small_net()

    pruned = prune(network, evidence(network), pattern=TWO_OF_FOUR)

    for before, after in zip(network.weighted_layers, pruned.weighted_layers, strict=True):
        into = before.weight.shape[1]
        if into % 4:
            assert (after.weight != 0).all()
        else:
            fours = np.moveaxis(after.weight, 1, -1).reshape(-1, 4)
            assert ((fours != 0).sum(axis=1) == 2).all()


def test_blocks_of_neighbouring_input_channels_go_together():
    network = small_net()

    pruned = prune(network, evidence(network), pattern=BLOCK_OF_4)

    for layer in pruned.weighted_layers:
        if layer.weight.shape[1] % 4 == 0:
            kept = (np.moveaxis(layer.weight, 1, -1).reshape(-1, 4) != 0).sum(axis=1)
            assert set(kept.tolist()) <= {0, 4}


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7])
def test_the_answers_are_far_closer_than_after_taking_the_smallest_weights(sparsity):
    network = small_net()
    ranking = evidence(network, 100, seed=9).samples
    expected = answers(network, run, ranking)
    smallest = []
    for layer in network.weighted_layers:
        bar = np.quantile(np.abs(layer.weight), sparsity)
        smallest.append(layer.with_constants(weight=np.where(np.abs(layer.weight) < bar, 0, layer.weight)))

    pruned = prune(network, evidence(network), sparsity=sparsity)

    by_size = output_error(network.replacing(*smallest), run, ranking, expected)
    assert output_error(pruned, run, ranking, expected) < 0.25 * by_size


def test_more_than_the_pattern_fits_is_refused():
    network = small_net()

    with pytest.raises(ValueError, match="at most"):
        prune(network, evidence(network, 4), sparsity=0.99, pattern=BLOCK_OF_4)
