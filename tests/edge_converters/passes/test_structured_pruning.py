"""Networks with fewer channels have the size that was asked for, run, and answer like the original."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.channel_groups import find_groups, remove
from edge_converters.networks import Network
from edge_converters.passes.channel_ranking import as_plain, families, from_plain, options, rank_channels
from edge_converters.passes.judging import answers, output_error
from edge_converters.passes.structured_pruning import multiplications, prune_channels
from tests.support.networks import evidence, run, small_net


def error(network: Network, other: Network) -> float:
    ranking = evidence(network, 100, seed=9).samples
    return output_error(other, run, ranking, answers(network, run, ranking))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_so_much_less_is_multiplied_and_the_answers_stay_near(share):
    network = small_net()

    pruned = prune_channels(network, evidence(network, 20), share=share)

    assert multiplications(pruned) <= (1 - share) * multiplications(network)
    assert multiplications(pruned) > (1 - share - 0.2) * multiplications(network)  # whole blocks of channels go
    assert [pruned.shapes[name] for name in pruned.outputs] == [network.shapes[name] for name in network.outputs]
    assert error(network, pruned) < 0.5 * error(network, smallest_removed(network, share))


def smallest_removed(network: Network, share: float) -> Network:
    """The channels of the smallest weights gone, the same share of each tensor, without a look at data."""
    groups = find_groups(network)
    norms = np.zeros(groups.count)
    for layer in network.weighted_layers:
        flat = np.square(layer.weight).reshape(len(layer.weight), -1).sum(axis=1)
        np.add.at(norms, groups.of[layer.outputs[0]], flat)
    for level in np.linspace(0, 0.9, 46):
        doomed = np.zeros(groups.count, bool)
        for family in families(groups):
            ranked = family[np.argsort(norms[family])]
            doomed[ranked[: int(level * len(ranked))]] = True
        smaller = remove(network, groups, doomed)
        if multiplications(smaller) <= (1 - share) * multiplications(network):
            return smaller
    raise AssertionError("it can be made as small")


def test_weights_can_be_the_measure():
    network = small_net()

    pruned = prune_channels(network, evidence(network, 20), share=0.4, size=lambda each: each.weight_count)

    assert pruned.weight_count <= 0.6 * network.weight_count


def test_what_was_found_out_once_serves_every_share():
    network = small_net()
    known = evidence(network, 20)

    noted = json.loads(json.dumps(as_plain(rank_channels(network, known))))

    for share in (0.2, 0.5):
        at_once = prune_channels(network, known, share=share)
        in_two = prune_channels(network, known, share=share, ranking=from_plain(noted))
        for one, other in zip(at_once.weighted_layers, in_two.weighted_layers, strict=True):
            assert np.array_equal(one.weight, other.weight)


@given(st.integers(1, 2000))
def test_what_stays_of_many_channels_fills_whole_blocks(count):
    gone = options(count)

    assert gone[0] == 0
    assert gone == sorted(set(gone))
    assert all(count - each > 0 for each in gone)
    if count >= 32:
        assert len(gone) > 1
        assert all((count - each) % 16 == 0 for each in gone[1:])


def test_channels_of_a_sum_go_together():
    network = small_net()

    pruned = prune_channels(network, evidence(network, 20), share=0.5)

    (addition,) = (layer for layer in pruned.layers if len(layer.inputs) == 2)
    assert len({pruned.channels(name) for name in (*addition.inputs, *addition.outputs)}) == 1


def test_more_than_can_be_removed_is_refused():
    network = small_net()

    with pytest.raises(ValueError, match="too few to save 99%"):
        prune_channels(network, evidence(network, 8), share=0.99)
