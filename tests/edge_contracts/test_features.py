"""Features mean the same when the baseline is made and when a device counts."""

from __future__ import annotations

import numpy as np
import pytest

from edge_contracts.features import GROUPS, bin_indices, compute, confidence_counts, make_baselines, top_classes
from edge_contracts.manifest import BINS, FeatureStatistic
from edge_contracts.window import confidence_bin

RNG = np.random.default_rng(7)
IMAGES = RNG.gamma(2.0, 1.0, (640, 8, 8, 1)).astype(np.float32)


def test_counting_the_reference_gives_the_reference_counts():
    for feature in make_baselines("image", IMAGES):
        counts = np.bincount(bin_indices(feature, compute(feature, IMAGES)), minlength=BINS)
        assert tuple(counts) == feature.counts
        assert sum(feature.counts) == len(IMAGES)


def test_bins_are_about_equally_likely_for_continuous_features():
    mean = next(f for f in make_baselines("image", IMAGES) if f.statistic is FeatureStatistic.MEAN)
    assert min(mean.counts) >= 0.8 * len(IMAGES) / BINS


def test_a_few_columns_are_features_of_their_own():
    table = RNG.normal(size=(100, 3))
    features = make_baselines("row", table)
    assert [f.name for f in features] == ["row[0]", "row[1]", "row[2]"]
    np.testing.assert_array_equal(compute(features[2], table), table[:, 2])


def test_a_constant_feature_has_a_histogram_too():
    flat = next(f for f in make_baselines("image", np.zeros((50, 4, 4))) if f.statistic is FeatureStatistic.STD)
    assert sum(flat.counts) == 50


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("mean", 2.0), ("std", 1.5811388), ("min", 0.0), ("max", 4.0), ("zero-share", 0.25), ("roughness", 4 / 3)],
)
def test_each_statistic_is_what_its_name_says(statistic, value):
    feature = next(f for f in make_baselines("t", IMAGES) if f.statistic == statistic)
    assert compute(feature, np.array([[[0.0, 1.0], [3.0, 4.0]]]))[0] == pytest.approx(value)
    assert feature.group == GROUPS[feature.statistic]


def test_the_top_class_of_logits_has_their_softmax_as_probability():
    logits = np.array([[2.0, 0.0, -1.0], [-3.0, 5.0, 5.5]])
    classes, probability = top_classes(logits)
    expected = np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)
    assert classes.tolist() == [0, 2]
    np.testing.assert_allclose(probability, expected)


def test_probabilities_are_taken_as_they_are_also_after_quantisation():
    quantised = np.round(np.array([[0.7, 0.2, 0.1], [0.05, 0.05, 0.9]]) * 256) / 256
    classes, probability = top_classes(quantised)
    assert classes.tolist() == [0, 2]
    np.testing.assert_array_equal(probability, quantised.max(axis=1))


def test_a_single_value_is_the_probability_of_the_second_class():
    classes, probability = top_classes(np.array([[0.9], [0.2], [3.0]]))
    assert classes.tolist() == [1, 0, 1]
    np.testing.assert_allclose(probability, [0.9, 0.8, 1 / (1 + np.exp(-3.0))])


def test_confidences_fall_into_the_bins_that_a_window_counts():
    values = np.array([0.0, 0.5, 0.999, 1.0])
    counts = confidence_counts(values)
    assert sum(counts) == 4
    assert all(counts[confidence_bin(value)] for value in values)
