"""Layers split in two are thinner together, and hold the share of their answers' variance that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from edge_converters.networks import Fused, Network
from edge_converters.passes.judging import answers, output_error
from edge_converters.passes.low_rank import factorise
from tests.support.networks import Builder, evidence, run


def thick() -> Network:
    """A convolution and a dense layer whose rows are nearly combinations of three."""
    build = Builder((4, 6, 6), 3)
    network = build.network(build.dense(build.flatten(build.conv("x", 24, strides=(2, 2))), 20, Fused.RELU))
    rng = np.random.default_rng(0)
    changed = []
    for layer in network.weighted_layers:
        flat = layer.weight.reshape(len(layer.weight), -1)
        few = rng.normal(size=(len(flat), 3)) @ rng.normal(size=(3, flat.shape[1])) / np.sqrt(flat.shape[1])
        changed.append(layer.with_constants(weight=(few + 0.02 * flat).reshape(layer.weight.shape)))
    return network.replacing(*changed)


@pytest.mark.parametrize("energy", [0.9, 0.99, 0.999])
def test_fewer_weights_answer_nearly_the_same(energy):
    network = thick()
    known, ranking = evidence(network, 60), evidence(network, 100, seed=4).samples

    thin = factorise(network, known, energy=energy)

    assert thin.weight_count < 0.5 * network.weight_count
    assert thin.outputs == network.outputs
    assert output_error(thin, run, ranking, answers(network, run, ranking)) < 4 * (1 - energy)


def test_the_mean_of_every_channel_stays():
    network = thick()
    known, (end,) = evidence(network), network.layers[0].outputs
    conv = network.layers[0].with_constants()
    linear = network.replacing(type(conv)(**{**conv.__dict__, "fused": Fused.NONE}))

    thin = factorise(linear, known, energy=0.8)

    before, after = (run(each, [end], known.samples)[end].mean(axis=(0, 2, 3)) for each in (linear, thin))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_layer_that_would_not_become_smaller_stays_whole():
    build = Builder((3, 4, 4))
    network = build.network(build.conv(build.conv("x", 6), 6, groups=6))

    thin = factorise(network, evidence(network), energy=0.9999)

    assert [layer.name for layer in thin.layers] == [layer.name for layer in network.layers]
