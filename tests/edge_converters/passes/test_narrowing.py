"""A narrower network has the widths that were asked for, the most important channels, and computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_converters.networks import Fused, Network
from edge_converters.passes.narrowing import LANES, kept, narrow
from tests.support.networks import Builder, evidence, run, small_net

SEEDS = st.integers(0, 2**16)


def widths(network: Network) -> list[int]:
    return [len(layer.weight) for layer in network.weighted_layers]


@given(channels=st.integers(1, 4096), width=st.floats(0.01, 0.99))
def test_a_width_is_a_whole_number_of_lanes_and_never_less_than_the_share(channels: int, width: float) -> None:
    stay = kept(channels, width)

    assert 1 <= stay <= channels
    assert stay == channels or stay % LANES == 0
    assert stay >= min(channels, width * channels - 1e-6)
    assert stay < width * channels + LANES or stay == LANES


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, width=st.floats(0.1, 0.9))
def test_tied_channels_go_together_and_the_ends_stay(seed: int, width: float) -> None:
    """Depthwise, residual and flattened: whatever goes in one place goes in all, or nothing could be computed."""
    network = small_net(seed)
    if all(kept(count, width) == count for count in (8, 12)):
        return

    student = narrow(network, evidence(network, 1), width=width)

    assert widths(student) == [kept(count, width) for count in widths(network)[:-1]] + [5]
    answers = run(student, student.outputs, evidence(network, 4).samples)
    assert answers[student.outputs[0]].shape == (4, 5)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_what_is_left_are_weights_of_the_wide_one(seed: int) -> None:
    network = small_net(seed)

    student = narrow(network, evidence(network, 1), width=0.5)

    first, small = network.weighted_layers[0], student.weighted_layers[0]
    rows = {row.tobytes() for row in first.weight}
    assert all(row.tobytes() in rows for row in small.weight)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_scale_that_one_layer_gives_and_the_next_takes_back_changes_nothing(seed: int) -> None:
    build = Builder((3, 6, 6), seed)
    inner = build.conv("x", 16)
    network = build.network(build.conv(inner, 3))
    factors = 2.0 ** np.random.default_rng(seed).integers(-6, 7, 16)
    first, second = network.weighted_layers[:2]
    scaled = network.replacing(
        first.with_constants(weight=first.weight * factors[:, None, None, None], bias=first.bias * factors),
        second.with_constants(weight=second.weight / factors[None, :, None, None]),
    )

    plain, other = (narrow(each, evidence(network, 1), width=0.5) for each in (network, scaled))

    samples = evidence(network, 5).samples
    expected, found = (run(each, each.outputs, samples)[each.outputs[0]] for each in (plain, other))
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_model_whose_channels_are_all_held_is_refused() -> None:
    build = Builder((3, 6, 6))
    network = build.network(build.conv("x", 16, fused=Fused.NONE))

    with pytest.raises(ValueError, match=r"at 0\.5 of its width no channel of the model can go"):
        narrow(network, evidence(network, 1), width=0.5)
