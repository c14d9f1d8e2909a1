"""Worse inputs: as bad as they say, and the clean ones left as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.robustness.corruptions import CORRUPTIONS, InputKind, add_noise, cover, domain_of, kind_of
from edge_converters.robustness.parts import parts_of

SHAPES = {InputKind.IMAGE: (24, 24, 3), InputKind.SPECTROGRAM: (49, 10, 1), InputKind.VECTOR: (13,)}
EVERY = [(kind, corruption) for kind, found in CORRUPTIONS.items() for corruption in found]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((96, 96, 3), "image"),
        ((3, 240, 320), "image"),
        ((28, 28, 1), "image"),
        ((49, 10, 1), "spectrogram"),
        ((1, 40, 101), "spectrogram"),
        ((128, 6), "spectrogram"),
        ((640,), "vector"),
        ((5, 2), "vector"),
        ((2, 3, 4, 5), "vector"),
    ],
)
def test_what_an_input_shows_is_told_from_its_shape(shape, kind):
    assert kind_of(shape) == kind


@pytest.mark.parametrize(("kind", "corruption"), EVERY, ids=lambda each: getattr(each, "name", each))
def test_every_corruption_moves_inputs_further_as_it_grows_and_leaves_the_clean_ones(kind, corruption):
    steps = np.random.default_rng(1).normal(1, 2, (40, *SHAPES[kind]))
    x = np.cumsum(steps, axis=1).astype(np.float32)  # neighbours are alike, as in any signal
    clean, domain = x.copy(), domain_of(x, kind)

    moved = [corruption.apply(x, level, domain, np.random.default_rng(0)) for level in corruption.levels]

    assert np.array_equal(x, clean)
    assert {(each.shape, each.dtype) for each in moved} == {(x.shape, x.dtype)}
    distances = [float(np.square(each - x).mean()) for each in moved]
    assert 0 < distances[0] < distances[-1]
    assert sorted(distances) == pytest.approx(distances, rel=0.1)
    again = corruption.apply(x, corruption.levels[0], domain, np.random.default_rng(0))
    assert np.array_equal(again, moved[0])


@given(level=st.floats(-10, 40), scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_noise_lies_as_many_decibels_below_the_sample_as_asked(level, scale, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, scale, (4, 4000))

    noise = add_noise(x, level, domain_of(x), rng) - x

    assert 10 * np.log10(x.var(axis=1) / noise.var(axis=1)) == pytest.approx(np.full(4, level), abs=0.6)


def test_a_cover_hides_the_share_it_says_in_every_channel():
    x = np.random.default_rng(0).random((6, 3, 40, 50)).astype(np.float32)

    hidden = cover(x, 0.25, domain_of(x), np.random.default_rng(0)) != x

    assert hidden.mean(axis=(1, 2, 3)) == pytest.approx(np.full(6, 0.25), abs=0.02)
    assert (hidden == hidden[:, :1]).all()


@pytest.mark.parametrize("kind", InputKind)
def test_every_element_belongs_to_a_part_and_no_part_is_empty(kind):
    domain = domain_of(np.random.default_rng(0).random((3, *SHAPES[kind])), kind)

    parts = parts_of(domain, SHAPES[kind])

    assert min(part.mask.sum() for part in parts) > 0
    assert sum(part.mask for part in parts).min() >= 1
    assert len({part.name for part in parts}) == len(parts)
