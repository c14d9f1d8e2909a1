"""Small weights go, each against its own layer's; patterns are exact, and what is zero stays zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_converters.networks import Network
from edge_converters.passes.magnitude_pruning import prune_by_magnitude, scores
from edge_converters.passes.surgeon import TWO_OF_FOUR, Pattern
from tests.support.networks import Builder, evidence, small_net

SEEDS = st.integers(0, 2**16)


def zeros(network: Network) -> dict[str, np.ndarray]:
    return {layer.name: layer.weight == 0 for layer in network.weighted_layers}


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, sparsity=st.floats(0.01, 0.9), more=st.floats(0, 1))
def test_as_many_weights_go_as_were_asked_and_more_pruning_keeps_what_is_zero(
    seed: int, sparsity: float, more: float
) -> None:
    network = small_net(seed)
    higher = sparsity + more * (0.9 - sparsity)

    once = prune_by_magnitude(network, evidence(network, 1), sparsity=sparsity)
    again = prune_by_magnitude(once, evidence(network, 1), sparsity=higher)

    assert sum(int(each.sum()) for each in zeros(once).values()) == round(sparsity * network.weight_count)
    assert sum(int(each.sum()) for each in zeros(again).values()) == round(higher * network.weight_count)
    for layer in network.weighted_layers:
        gone, stays = zeros(once)[layer.name], ~zeros(again)[layer.name]
        assert not (gone & stays).any()
        assert stays.any(), f"{layer.name} has nothing left"
        assert (again.layer(layer.name).weight[stays] == layer.weight[stays]).all()
        assert layer.depthwise <= stays.all()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, keep=st.integers(1, 3))
def test_of_each_four_neighbouring_inputs_the_largest_stay(seed: int, keep: int) -> None:
    build = Builder((8, 5, 5), seed)
    network = build.network(build.dense(build.flatten(build.conv(build.conv("x", 6), 4)), 3))

    thin = prune_by_magnitude(network, evidence(network, 1), pattern=Pattern(of=4, keep=keep))

    first, second, head = (layer.name for layer in network.weighted_layers)
    assert not zeros(thin)[second].any(), "six inputs do not fit groups of four"
    for name in (first, head):
        before, after = (np.moveaxis(each.layer(name).weight, 1, -1).reshape(-1, 4) for each in (network, thin))
        assert ((after != 0).sum(axis=1) == keep).all()
        least = np.sort(np.abs(before), axis=1)[:, 4 - keep]
        assert (np.abs(before)[after != 0] >= np.repeat(least, keep)).all()


def test_what_cannot_be_pruned_so_far_is_refused() -> None:
    build = Builder((3, 4, 4))
    network = build.network(build.dense(build.flatten(build.conv("x", 3)), 2))

    with pytest.raises(ValueError, match="cannot go: the layers that are pruned have"):
        prune_by_magnitude(network, evidence(network, 1), sparsity=0.999)
    with pytest.raises(ValueError, match="no layer has inputs in groups of 4"):
        prune_by_magnitude(Builder((3, 4, 4)).network(), evidence(network, 1), pattern=TWO_OF_FOUR)


@given(seed=SEEDS, factor=st.floats(1e-3, 1e3))
def test_a_layers_scale_does_not_change_which_of_its_weights_go(seed: int, factor: float) -> None:
    weight = np.random.default_rng(seed).normal(size=(4, 3, 2)).astype(np.float32)

    assert scores(weight).max() == 1
    assert np.allclose(scores(weight), scores(weight * np.float32(factor)), rtol=1e-4)
