"""Rounded weights lie on the grid that a nearest-rounding quantiser finds again, and err less than nearest rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_converters.networks import Array, Network
from edge_converters.passes.bias_correction import correct_biases
from edge_converters.passes.judging import answers, output_error
from edge_converters.passes.pruning import prune
from edge_converters.passes.repairs import better, match_statistics
from edge_converters.passes.rounding import round_to_nearest, round_weights
from edge_converters.passes.unfolding import matrix, moments
from tests.support.networks import evidence, run, small_net


def integers(weight: Array, bits: int) -> Array:
    """What a per-channel symmetric quantiser in float32 stores."""
    rows = weight.reshape(len(weight), -1)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scale = np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(2 ** (bits - 1) - 1)
    return np.asarray(np.rint(rows / scale))


def error(network: Network, other: Network, seed: int) -> float:
    ranking = evidence(network, 100, seed=seed).samples
    return output_error(other, run, ranking, answers(network, run, ranking))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([8, 4]))
def test_a_quantiser_finds_the_same_grid_and_changes_nothing(seed, bits):
    network = small_net(seed)

    rounded = round_weights(network, evidence(network, 12), bits=bits)

    again = round_to_nearest(rounded, bits=bits)
    for layer, twice in zip(rounded.weighted_layers, again.weighted_layers, strict=True):
        stored = integers(layer.weight, bits)
        largest = np.abs(layer.weight.reshape(len(layer.weight), -1)).max(axis=1, keepdims=True)
        assert np.abs(stored).max() == 2 ** (bits - 1) - 1
        rows = layer.weight.reshape(len(layer.weight), -1)
        np.testing.assert_allclose(stored * largest / (2 ** (bits - 1) - 1), rows, rtol=1e-5)
        np.testing.assert_allclose(twice.weight, layer.weight, rtol=1e-5)


@pytest.mark.parametrize(("bits", "share"), [(8, 0.5), (4, 0.5)])
def test_the_answers_are_closer_than_after_rounding_to_nearest(bits, share):
    network = small_net()

    rounded = round_weights(network, evidence(network), bits=bits)

    assert error(network, rounded, 9) < share * error(network, round_to_nearest(network, bits=bits), 9)


def test_pruned_weights_stay_zero():
    network = small_net()
    known = evidence(network)
    pruned = prune(network, known)

    rounded = round_weights(pruned, known)

    for before, after in zip(pruned.weighted_layers, rounded.weighted_layers, strict=True):
        assert not after.weight[before.weight == 0].any()


def test_corrected_biases_give_every_channel_its_mean_again():
    network = small_net()
    known = evidence(network)
    coarse = round_to_nearest(network, bits=4)

    corrected = correct_biases(coarse, known, original=network)

    for layer, before in zip(corrected.weighted_layers, coarse.weighted_layers, strict=True):
        seen = moments(network, corrected, layer.name, known)
        mean = np.einsum("gow,gw->go", matrix(layer), seen.mean_input)
        np.testing.assert_allclose(mean, seen.mean_target, atol=1e-5)
        np.testing.assert_array_equal(layer.weight, before.weight)
    assert error(network, corrected, 9) < 0.5 * error(network, coarse, 9)


def test_matched_statistics_give_every_channel_its_mean_and_spread_again():
    network = small_net()
    known = evidence(network)
    coarse = round_to_nearest(network, bits=6)

    matched = match_statistics(coarse, known, original=network)

    for layer in matched.weighted_layers:
        seen = moments(network, matched, layer.name, known)
        rows = matrix(layer)
        mean = np.einsum("gow,gw->go", rows, seen.mean_input)
        power = np.einsum("gow,gwv,gov->go", rows, seen.inputs, rows) / seen.rows
        np.testing.assert_allclose(mean, seen.mean_target, atol=1e-5)
        np.testing.assert_allclose(power - mean**2, seen.energy / seen.rows - seen.mean_target**2, rtol=1e-3)


def test_a_repair_that_hurts_is_not_kept():
    network = small_net()
    known, ranking = evidence(network), evidence(network, 50, seed=5).samples
    pruned = prune(network, known, sparsity=0.3)
    blind = match_statistics(pruned, evidence(network, 2), original=network)

    kept = better(pruned, blind, original=network, run=run, ranking=ranking)

    assert error(network, blind, 9) > error(network, pruned, 9)
    assert kept is pruned
