"""What is called brittle is, what is not brittle is rarely called so; calibration error is what its definition says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.robustness import statistics
from edge_converters.robustness.attacks import guess_gradient, margins
from edge_converters.robustness.findings import MARGIN, Robustness
from edge_converters.robustness.statistics import Confidences, SweepScores
from edge_converters.robustness.words import describe

LEVELS = (1.0, 2.0, 3.0)


def sweep(rng: np.random.Generator, n: int, source: float, variant: float, name: str = "noise") -> SweepScores:
    """Right answers at these rates under every strength; the same samples are hard for both models."""
    clean = np.ones(n)
    ease = rng.random(n)
    worse = tuple(
        ((ease < source).astype(float), np.where(rng.random(n) < 0.9, ease, rng.random(n)) < variant) for _ in LEVELS
    )
    return SweepScores(name, "dB", LEVELS, (clean, clean), tuple((one, np.asarray(two, float)) for one, two in worse))


def test_a_variant_that_falls_where_its_source_stands_is_brittle():
    rng = np.random.default_rng(0)
    sweeps = [sweep(rng, 128, 0.9, 0.6), sweep(rng, 128, 0.9, 0.9, "blur")]

    judged, _ = statistics.judge(sweeps, [])

    assert [each.excess.brittle for each in judged] == [True, False]
    assert judged[0].excess.drop == pytest.approx(0.3, abs=0.1)
    assert judged[0].relative is not None
    assert judged[0].relative > 2
    report = Robustness("image", 128, 1.0, 1.0, judged)
    assert report.brittle == ("noise",)
    assert "BRITTLE: loses over 5 points more than the float model under noise (of 2 looked at)" in describe(report)


def test_ten_kinds_of_worse_input_at_the_margin_raise_the_flag_in_at_most_one_of_twenty_cases():
    """Each kind loses exactly what is allowed, so that every flag is a false one."""
    flags = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        judged, _ = statistics.judge([sweep(rng, 128, 0.85, 0.85 - MARGIN) for _ in range(10)], [])
        flags += any(each.excess.brittle for each in judged)

    assert flags <= 0.05 * 200 + 5


@given(seed=st.integers(0, 999), n=st.integers(2, 60))
def test_equal_models_are_never_brittle(seed, n):
    rng = np.random.default_rng(seed)
    clean, worse = rng.random(n), [rng.random(n) for _ in LEVELS]
    scores = SweepScores("noise", "dB", LEVELS, (clean, clean), tuple((each, each) for each in worse))
    sure = rng.random(n)

    judged, told = statistics.judge([scores], [Confidences("uniform", (sure, sure))])

    assert judged[0].excess.drop == told[0].excess.drop == 0
    assert not judged[0].excess.brittle
    assert not told[0].excess.brittle


def test_more_confidence_in_pure_noise_is_brittle():
    rng = np.random.default_rng(0)
    source = rng.uniform(0.2, 0.5, 128)

    _, (told,) = statistics.judge([], [Confidences("uniform", (source, np.minimum(source + 0.4, 1)))])

    assert told.excess.brittle
    assert told.variant - told.source == pytest.approx(0.4)


@given(
    confidence=st.lists(st.integers(0, 20), min_size=1, max_size=200), seed=st.integers(0, 99), shuffled=st.randoms()
)
def test_bins_hold_every_answer_once_whatever_the_order(confidence, seed, shuffled):
    told = np.array(confidence) / 20
    right = np.random.default_rng(seed).integers(0, 2, len(told)).astype(float)
    order = list(range(len(told)))
    shuffled.shuffle(order)

    bins = statistics.equal_mass(told, right)

    assert sum(each.n for each in bins) == len(told)
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)
    assert sum(each.n * each.right for each in bins) == pytest.approx(right.sum())
    error = statistics.expected_error(told, right)
    assert 0 <= error <= 1
    assert statistics.expected_error(told[order], right[order]) == pytest.approx(error)


def test_the_calibration_error_of_known_confidence_is_what_it_is_off_by():
    rng = np.random.default_rng(0)
    told = rng.uniform(0.5, 1, 20000)
    honest = (rng.random(20000) < told).astype(float)
    boastful = (rng.random(20000) < told - 0.2).astype(float)

    found = statistics.calibration((told, told), (honest, boastful))

    assert found.source < 0.01
    assert found.variant == pytest.approx(0.2, abs=0.01)
    assert found.rise < found.upper_bound < 0.22


def test_residuals_count_every_element_of_every_output():
    rng = np.random.default_rng(0)
    source = {"a": rng.random((10, 4)), "b": rng.random((10, 2, 2))}
    variant = {"a": source["a"], "b": source["b"] - 0.25}

    same, moved = statistics.residuals(source, variant)

    assert (same.largest, same.mean) == (0, 0)
    assert moved.mean == pytest.approx(0.25)
    assert sum(moved.counts) == 40


def test_what_was_not_checked_is_no_clean_bill():
    said = describe(Robustness("input", 0, 0.0, 0.0, left_out=("everything: too few classes",)))

    assert said == "robustness: nothing was checked. Left out: everything: too few classes"


def test_a_part_that_only_the_float_model_hears_is_named():
    found = statistics.features(["a", "b", "c"], np.array([1.0, 0.9, 0.01]), np.array([1.0, 0.1, 0.0]))

    assert found.unheard == ("b",)


def test_a_guessed_gradient_leads_where_the_margin_falls():
    weights = np.random.default_rng(1).normal(size=(12, 3))
    x, true = np.random.default_rng(2).normal(size=(20, 12)), np.arange(20) % 3

    direction = np.sign(guess_gradient(lambda inputs: inputs @ weights, x, true, 1.0, np.random.default_rng(0)))

    before, after = margins(x @ weights, true), margins((x + 0.05 * direction) @ weights, true)
    assert (after < before).mean() > 0.9
