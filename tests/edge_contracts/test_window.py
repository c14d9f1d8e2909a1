"""Windows merge exactly, in any order and grouping."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_contracts.window import (
    LATENCY_BINS,
    FeatureCounts,
    NotMergeable,
    TelemetryWindow,
    confidence_bin,
    latency_bin,
    latency_quantile,
    merge,
)
from tests.edge_contracts.messages_examples import EXAMPLES

EXAMPLE = EXAMPLES["tw"]
counts = st.integers(0, 1000)


@st.composite
def windows(draw):
    feature = FeatureCounts(
        missing=draw(counts),
        non_finite=draw(counts),
        out_of_range=draw(counts),
        total=float(draw(counts)),
        squares=float(draw(counts)),
        counts=tuple(draw(st.lists(counts, min_size=32, max_size=32))),
    )
    start = float(draw(counts))
    return EXAMPLE.model_copy(
        update={
            "start": start,
            "end": start + draw(counts),
            "sequence": draw(counts),
            "n": draw(st.integers(1, 1000)),
            "errors": draw(counts),
            "features": {"image.mean": feature},
            "classes": tuple(draw(st.lists(counts, min_size=3, max_size=3))),
            "latency": tuple(draw(st.lists(counts, min_size=LATENCY_BINS, max_size=LATENCY_BINS))),
        }
    )


@given(windows(), windows(), windows())
def test_the_order_and_grouping_of_merges_do_not_matter(a, b, c):
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(windows(), windows())
def test_nothing_counted_is_lost(a, b):
    both = merge(a, b)
    assert both.n == a.n + b.n
    assert sum(both.latency) == sum(a.latency) + sum(b.latency)
    assert both.features["image.mean"].missing == a.features["image.mean"].missing + b.features["image.mean"].missing
    assert (both.start, both.end) == (min(a.start, b.start), max(a.end, b.end))


@pytest.mark.parametrize("change", [{"version": 9}, {"slot": "shadow"}, {"classes": (1, 2)}, {"features": {}}])
def test_windows_of_different_things_do_not_merge(change):
    with pytest.raises(NotMergeable):
        merge(EXAMPLE, EXAMPLE.model_copy(update=change))


def test_a_window_without_requests_merges_with_any():
    empty = EXAMPLE.model_copy(update={"n": 0, "features": {}, "classes": (), "confidence": ()})
    assert merge(empty, EXAMPLE).n == EXAMPLE.n
    assert merge(EXAMPLE, empty).classes == EXAMPLE.classes


@given(st.floats(1, 1e8))
def test_a_latency_quantile_is_never_better_than_the_truth(microseconds):
    histogram = [0] * LATENCY_BINS
    histogram[latency_bin(microseconds)] = 5
    bound = latency_quantile(tuple(histogram), 0.99)
    assert bound >= min(microseconds, 10 * 10**6.2) * (1 - 1e-12)


def test_a_quantile_of_nothing_is_not_a_number():
    assert math.isnan(latency_quantile((0,) * LATENCY_BINS, 0.5))


def test_confidence_bins_cover_zero_and_one():
    assert (confidence_bin(0.0), confidence_bin(0.5), confidence_bin(1.0)) == (0, 32, 63)


def test_the_example_window_is_a_window():
    assert isinstance(EXAMPLE, TelemetryWindow)
