"""A channel matters as much as noise in it moves the network's outputs."""

from __future__ import annotations

import numpy as np

from edge_converters.networks import Fused
from edge_converters.passes.relevance import relevances
from tests.support.networks import Builder, run, small_net


def test_noise_in_a_channel_moves_the_outputs_as_much_as_it_is_relevant():
    build = Builder((5, 3, 3), 4)
    once = build.conv("x", 5, (1, 1), groups=5, fused=Fused.NONE)
    network = build.network(build.dense(build.flatten(once), 7))
    (end,) = network.outputs
    rng = np.random.default_rng(0)
    quiet = np.zeros((4000, 5, 3, 3), np.float32)
    moved = []
    for channel in range(5):
        noisy = quiet.copy()
        noisy[:, channel] = rng.normal(size=(4000, 3, 3))
        moved.append(np.square(run(network, [end], noisy)[end] - run(network, [end], quiet)[end]).mean())

    found = relevances(network)

    np.testing.assert_allclose(found["x"] / found["x"].sum(), np.array(moved) / sum(moved), rtol=0.1)


def test_a_channel_that_several_layers_read_matters_to_all_of_them():
    build = Builder((3, 4, 4), 1)
    shared = build.conv("x", 4)
    left, right = build.conv(shared, 6), build.conv(shared, 6)
    both = build.network(build.add(left, right))

    found = relevances(both)[shared]

    expected = sum(np.square(both.writers[name].weight).sum(axis=(0, 2, 3)) for name in (left, right))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_weighted_layers_channels_are_known():
    network = small_net()

    found = relevances(network)

    for layer in network.weighted_layers:
        assert found[layer.outputs[0]].shape == (len(layer.weight),)
        assert (found[layer.outputs[0]] >= 0).all()
