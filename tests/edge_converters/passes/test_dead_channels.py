"""Channels that cannot move are taken out, through residuals, depthwise layers, pools and flattening; no others are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_converters.channel_groups import find_groups, remove
from edge_converters.networks import Array, Evidence, Layer, Network
from edge_converters.passes import intervals
from edge_converters.passes.dead_channels import remove_dead_channels
from edge_converters.passes.intervals import find_bounds
from tests.support.networks import Builder, evidence, run, small_net

SEEDS = st.integers(0, 2**16)


def killed(network: Network, name: str, channel: int, value: float) -> Network:
    """The network whose layer `name` gives `value` at every position of one channel, whatever comes in."""
    layer = network.layer(name)
    weight, bias = layer.weight.copy(), layer.bias.copy()
    weight[channel], bias[channel] = 0, value
    return network.replacing(layer.with_constants(weight=weight, bias=bias))


def unread(network: Network, name: str, channel: int) -> Network:
    """The network whose layer `name` has no weight for one channel of its input."""
    layer = network.layer(name)
    weight = layer.weight.copy()
    weight[:, channel] = 0
    return network.replacing(layer.with_constants(weight=weight))


def chain() -> Network:
    """A stem, a depthwise and a pointwise layer, and a classifier of all positions."""
    build = Builder((2, 6, 6))
    stem = build.conv("x", 6)
    deep = build.conv(stem, 6, groups=6)
    point = build.conv(deep, 8, (1, 1))
    return build.network(build.dense(build.flatten(point), 3))


def widths(network: Network) -> list[int]:
    return [len(layer.weight) for layer in network.weighted_layers]


def largest_difference(one: Network, other: Network) -> float:
    samples = evidence(one, 20, seed=99).samples * 1.5  # others than those the pass looks at, and wider
    before, after = (run(each, each.outputs, samples) for each in (one, other))
    return max(float(np.abs(before[name] - after[name]).max()) for name in one.outputs)


def test_a_channel_that_is_always_zero_goes_with_its_depthwise_channel():
    network = killed(killed(chain(), "conv0", 2, -1.0), "conv1", 2, -0.5)

    smaller = remove_dead_channels(network, evidence(network))

    assert widths(smaller) == [5, 5, 8, 3]
    assert smaller.layer("conv1").groups == 5
    assert largest_difference(network, smaller) < 1e-6


def test_a_constant_that_is_not_zero_moves_into_the_readers_bias():
    network = killed(chain(), "conv1", 4, 0.7)  # the stem's channel 4 lives, and is read by nobody else

    smaller = remove_dead_channels(killed(network, "conv0", 4, -1.0), evidence(network))

    assert widths(smaller) == [5, 5, 8, 3]
    assert not np.allclose(smaller.layer("conv2").bias, network.layer("conv2").bias)
    assert largest_difference(killed(network, "conv0", 4, -1.0), smaller) < 1e-5


def test_a_constant_in_front_of_a_padded_layer_stays_for_the_border_sees_zeros():
    build = Builder((2, 6, 6))
    network = build.network(build.conv(build.conv("x", 4), 3))
    network = killed(network, "conv0", 1, 0.7)

    assert remove_dead_channels(network, evidence(network)) is network


def test_channels_that_nobody_reads_go_and_starve_what_only_they_needed():
    network = unread(chain(), "conv2", 1)

    smaller = remove_dead_channels(network, evidence(network))

    assert widths(smaller) == [5, 5, 8, 3]
    assert largest_difference(network, smaller) < 1e-6


def test_a_residual_holds_a_channel_until_both_sides_are_dead():
    network = small_net()
    branch, shortcut = "conv4", "conv5"
    one = killed(network, branch, 7, 0.0)

    assert remove_dead_channels(one, evidence(network)) is one

    both = killed(one, shortcut, 7, 0.0)
    smaller = remove_dead_channels(both, evidence(network))
    assert widths(smaller) == [8, 8, 8, 12, 11, 11, 5]
    assert largest_difference(both, smaller) < 1e-6


def test_flattened_features_go_with_their_channel():
    network = killed(chain(), "conv2", 5, 0.3)

    smaller = remove_dead_channels(network, evidence(network))

    assert smaller.layer("dense4").weight.shape == (3, 7 * 36)
    assert largest_difference(network, smaller) < 1e-5


def test_a_channel_that_was_only_quiet_in_calibration_stays():
    network = chain()
    layer = network.layer("conv0")
    quiet = network.replacing(layer.with_constants(bias=layer.bias - np.eye(6, dtype=np.float32)[2] * 4))
    seen = evidence(network).samples * 0.1
    stem = run(quiet, [layer.outputs[0]], seen)[layer.outputs[0]]
    assert not stem[:, 2].any()  # never woke in calibration, and could

    assert remove_dead_channels(quiet, Evidence(np.concatenate([seen, seen * 40]), run)) is quiet


def test_the_networks_ends_and_its_last_channel_stay():
    network = chain()
    for channel in range(8):
        network = killed(network, "conv2", channel, 0.0)

    smaller = remove_dead_channels(network, evidence(network))

    assert smaller.shapes["x"] == network.shapes["x"]
    assert smaller.shapes[smaller.outputs[0]] == (1, 3)
    assert min(widths(smaller)) == 1
    groups = find_groups(network)
    with pytest.raises(ValueError, match="cannot be removed"):
        remove(network, groups, groups.frozen)


def test_a_network_without_dead_channels_stays_itself():
    network = small_net(0)

    assert remove_dead_channels(network, evidence(network)) is network


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 63), st.sampled_from([0.0, -1.0, 0.4]))))
def test_whatever_is_killed_the_answers_stay(seed: int, deaths: list[tuple[int, int, float]]):
    network = small_net(seed)
    names = [layer.name for layer in network.weighted_layers]
    for index, channel, value in deaths:
        network = killed(network, names[index], channel % len(network.layer(names[index]).weight), value)

    smaller = remove_dead_channels(network, evidence(network))

    assert largest_difference(network, smaller) < 1e-4
    assert smaller.weight_count <= network.weight_count


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_no_channel_leaves_its_bounds(seed: int):
    network = small_net(seed)
    samples = np.random.default_rng(seed).uniform(-2, 3, (8, *network.shapes["x"][1:])).astype(np.float32)

    bounds = find_bounds(network, -2, 3)

    for name, values in run(network, list(bounds), samples).items():
        rows: Array = network.by_channel(name, values)
        slack = 1e-4 * (1 + np.abs(rows).max())
        assert (rows.min(1) >= bounds[name].low - slack).all()
        assert (rows.max(1) <= bounds[name].high + slack).all()


def test_bounds_do_not_depend_on_how_many_rows_are_looked_at_together(monkeypatch):
    network = small_net(3)
    expected = find_bounds(network, -2, 3)

    monkeypatch.setattr(intervals, "CHUNK", 1)

    for name, each in find_bounds(network, -2, 3).items():
        np.testing.assert_allclose([each.low, each.high], [expected[name].low, expected[name].high], rtol=1e-12)


def test_an_operator_that_no_rule_knows_holds_its_channels():
    network = killed(chain(), "conv2", 5, 0.3)
    strange: Layer = replace(network.layer("flatten3"), kind=network.layer("flatten3").kind.OTHER)
    held = replace(network, layers=tuple(strange if each.name == "flatten3" else each for each in network.layers))

    assert remove_dead_channels(held, evidence(network)) is held
