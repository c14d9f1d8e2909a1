"""A window counts what the baseline counted, however the requests came in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.tensors import to_stored
from edge_agent.core.windows import Observed, WindowBuilder
from edge_contracts.features import bin_indices, compute
from edge_contracts.manifest import Preprocessing
from edge_contracts.window import LATENCY_BINS, TelemetryWindow, latency_bin, merge
from tests.edge_agent.telemetry.windows_of import IMAGES, INPUT, OUTPUT, RELEASE, SCORES, closed, observed
from tests.support import releases

BASELINE = RELEASE.manifest.baseline


def integers(window: TelemetryWindow) -> dict[str, object]:
    """Everything of a window that is a whole number and does not name it."""
    counts = {name: f.model_dump(exclude={"total", "squares"}) for name, f in window.features.items()}
    return {**window.model_dump(include={"n", "errors", "classes", "confidence", "latency"}), "features": counts}


def test_the_reference_data_as_traffic_gives_the_reference_counts():
    builder = WindowBuilder(RELEASE, start=0.0)

    builder.add([observed(slice(i, i + 1)) for i in range(64)])

    window = closed(builder)
    assert window.n == 64
    assert {name: f.counts for name, f in window.features.items()} == {f.name: f.counts for f in BASELINE.features}
    assert all((f.missing, f.non_finite, f.out_of_range) == (0, 0, 0) for f in window.features.values())
    assert window.classes == BASELINE.classes
    assert window.confidence == BASELINE.confidence
    assert sum(window.latency) == window.latency[latency_bin(250.0)] == 64


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 63), max_size=5, unique=True).map(sorted))
def test_any_cut_of_the_traffic_into_requests_and_windows_gives_the_same_counts(cuts):
    bounds = [0, *cuts, 64]
    parts = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    single = WindowBuilder(RELEASE, start=0.0)
    single.add([observed(part) for part in parts])
    windows = []
    for sequence, part in enumerate(parts):
        builder = WindowBuilder(RELEASE, start=0.0)
        builder.add([observed(part)])
        windows.append(closed(builder, sequence=sequence))

    whole = windows[0]
    for window in windows[1:]:
        whole = merge(whole, window)

    assert integers(whole) == integers(closed(single))
    for name, feature in closed(single).features.items():
        assert whole.features[name].total == pytest.approx(feature.total)
        assert whole.features[name].squares == pytest.approx(feature.squares)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 2))
def test_windows_merge_in_any_order_and_grouping(order, split):
    windows = []
    for index in range(4):
        builder = WindowBuilder(RELEASE, start=float(index))
        builder.add([observed(slice(index * 16, index * 16 + 16), latency_us=10.0**index)])
        windows.append(closed(builder, sequence=index))
    a, b, c, d = (windows[index] for index in order)

    groupings = [merge(merge(merge(a, b), c), d), merge(merge(a, b), merge(c, d)), merge(a, merge(b, merge(c, d)))]

    reference = merge(merge(merge(windows[0], windows[1]), windows[2]), windows[3])
    assert integers(groupings[split]) == integers(reference)


@pytest.mark.parametrize("preprocessing", [Preprocessing(), Preprocessing(offset=0.5, scale=2.0)])
def test_stored_values_are_counted_as_the_real_values_they_stand_for(preprocessing):
    release = releases.release("cpu-litert", preprocessing=preprocessing)
    spec = release.variant.inputs[0]
    stored = to_stored(spec, IMAGES, preprocessing)
    builder = WindowBuilder(release, start=0.0)
    answers = {release.variant.outputs[0].name: to_stored(release.variant.outputs[0], SCORES)}

    builder.add([Observed(64, 250.0, ({spec.name: stored}, answers))])

    q = spec.quantization
    real = (stored.astype(np.float32) - q.zero_point) * np.float32(q.scale)
    real = real / np.float32(preprocessing.scale) + np.float32(preprocessing.offset)
    window = closed(builder)
    for feature in release.manifest.baseline.features:
        bins = bin_indices(feature, compute(feature, real))
        assert window.features[feature.name].counts == tuple(np.bincount(bins, minlength=32))
    assert window.classes == BASELINE.classes


def test_values_that_are_no_numbers_or_out_of_range_are_counted_apart():
    images = IMAGES[:3].copy()
    images[0, 0, 0, 0] = np.nan
    images[1] *= 50
    builder = WindowBuilder(RELEASE, start=0.0)

    builder.add([Observed(3, 250.0, ({INPUT: images}, {OUTPUT: SCORES[:3]}))])

    level = closed(builder).features["image.mean"]
    assert (level.non_finite, level.out_of_range, sum(level.counts)) == (1, 1, 2)


def test_a_request_that_was_not_looked_at_is_missing_in_every_feature_and_still_counts():
    builder = WindowBuilder(RELEASE, start=0.0)

    builder.add([observed(slice(0, 2)), Observed(5, 250.0, None)])

    window = closed(builder)
    assert window.n == 7
    assert sum(window.latency) == 2
    assert {feature.missing for feature in window.features.values()} == {5}


def test_a_window_of_failures_alone_merges_with_one_of_answers():
    failing, answering = WindowBuilder(RELEASE, start=0.0), WindowBuilder(RELEASE, start=900.0)
    failing.fail()
    answering.add([observed(slice(0, 4))])

    whole = merge(closed(failing), closed(answering, 1800.0, sequence=2))

    assert (whole.n, whole.errors, whole.start, whole.end) == (4, 1, 0.0, 1800.0)
    assert len(whole.latency) == LATENCY_BINS


def test_answers_that_are_not_finite_have_no_class():
    scores = SCORES[:2].copy()
    scores[0, 3] = np.inf
    builder = WindowBuilder(RELEASE, start=0.0)

    builder.add([Observed(2, 250.0, ({INPUT: IMAGES[:2]}, {OUTPUT: scores}))])

    window = closed(builder)
    assert (window.n, sum(window.classes), sum(window.confidence)) == (2, 1, 1)
