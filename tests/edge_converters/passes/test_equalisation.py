"""Equalised channels share one range and the network's answers stay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_converters.networks import Fused
from edge_converters.passes.equalisation import SMALLEST, equalise, factors, pairs
from tests.support.networks import Builder, evidence, run


def uneven(seed: int = 0, fused: Fused = Fused.RELU):
    """Conv, depthwise, grouped conv and a flattened dense layer, with channels of very different ranges."""
    build = Builder((2, 6, 6), seed)
    first = build.conv("x", 6, fused=fused)
    last = build.conv(build.conv(first, 6, groups=6), 6, (1, 1), groups=2)
    network = build.network(build.dense(build.flatten(last), 5))
    spread = np.geomspace(1, 5, 6, dtype=np.float32)
    changed = [
        layer.with_constants(weight=layer.weight * spread.reshape(-1, 1, 1, 1)) for layer in network.weighted_layers[:3]
    ]
    return network.replacing(*changed)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_the_answers_stay_and_the_ranges_are_one(seed):
    network = uneven(seed)
    known, others = evidence(network), evidence(network, 50, seed=7).samples
    (end,) = network.outputs

    level = equalise(network, known)

    expected = run(network, [end], others)[end]
    np.testing.assert_allclose(run(level, [end], others)[end], expected, atol=1e-4 * np.ptp(expected))
    for pair in pairs(network):
        before, after = (
            run(each, [pair.active], known.samples)[pair.active].max(axis=(0, 2, 3)) for each in (network, level)
        )
        awake = before > SMALLEST * before.max()
        np.testing.assert_allclose(after[awake], before.max(), rtol=1e-3)


def test_pairs_reach_through_depthwise_and_flattening():
    network = uneven()

    names = [layer.name for layer in network.weighted_layers]

    assert [(pair.first, pair.second) for pair in pairs(network)] == list(pairwise(names))


def test_a_bounded_function_or_a_second_reader_ends_the_pair():
    build = Builder((2, 6, 6))
    shared = build.conv("x", 4)
    network = build.network(build.add(build.conv(shared, 4), shared))

    assert next(pairs(network), None) is None
    assert next(pairs(uneven(fused=Fused.RELU6))).first != uneven().weighted_layers[0].name


def test_a_channel_that_never_woke_stays_as_it_is():
    assert factors(np.array([0.0, 4.0, 1.0, 1e-6])).tolist() == [1.0, 1.0, 0.25, SMALLEST]
    assert factors(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]
