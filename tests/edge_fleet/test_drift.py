"""The pure decisions about drift: silent on healthy data however often one looks, quick and specific on drifted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_contracts.features import bin_indices, compute, make_baselines
from edge_contracts.manifest import FeatureBaseline
from edge_fleet.domain.drift import (
    EFFECT_GATE,
    FDR_LEVEL,
    Array,
    Finding,
    Stream,
    alarms,
    corrected_psi,
    devices_past_gate,
    find,
)
from tests.edge_fleet.fleet_case import images

WINDOW = 200


def counted(baselines: tuple[FeatureBaseline, ...], windows: list[Array]) -> list[Stream]:
    return [
        Stream(
            one.name,
            one.group,
            np.array(one.counts, float),
            np.stack([np.bincount(bin_indices(one, compute(one, w)), minlength=32) for w in windows]).astype(float),
            np.array(one.edges),
        )
        for one in baselines
    ]


def upto(stream: Stream, windows: int) -> Stream:
    return Stream(stream.name, stream.group, stream.baseline, stream.windows[:windows], stream.edges)


def found(streams: list[Stream], windows: int) -> tuple[Finding, ...]:
    return alarms([one for one in (find(upto(stream, windows)) for stream in streams) if one is not None])


@pytest.mark.parametrize(("reference", "window"), [(100, 60), (300, 200), (1000, 30)])
def test_healthy_fleets_raise_a_false_alarm_in_at_most_five_percent_of_runs(reference: int, window: int) -> None:
    rng, runs, looks = np.random.default_rng(7), 60, 24
    alarmed = 0
    for _ in range(runs):
        baselines = make_baselines("x", images(rng, reference))
        streams = counted(baselines, [images(rng, window) for _ in range(looks)])
        alarmed += any(found(streams, seen) for seen in range(2, looks + 1, 3))
    assert alarmed <= FDR_LEVEL * runs


def test_devices_that_see_the_same_scenes_over_and_over_are_healthy() -> None:
    rng, runs = np.random.default_rng(11), 40
    alarmed = 0
    for _ in range(runs):
        baselines, scenes = make_baselines("x", images(rng, 450)), images(rng, 300)
        streams = counted(baselines, [scenes[rng.integers(0, 300, 150)] for _ in range(24)])
        alarmed += any(found(streams, seen) for seen in range(3, 25, 3))
    assert alarmed <= FDR_LEVEL * runs


@pytest.mark.parametrize(
    ("drifted", "group"),
    [
        (lambda rng: images(rng, WINDOW, brightness=0.5), "spread"),
        (lambda rng: 1.0 - images(rng, WINDOW), "level"),
        (lambda rng: np.clip(images(rng, WINDOW) + np.abs(rng.normal(0, 0.3, (WINDOW, 8, 8))), 0, 1), "level"),
    ],
    ids=["darker", "inverted", "noisy"],
)
def test_a_change_is_found_within_three_windows_and_dated(drifted: object, group: str) -> None:
    assert callable(drifted)
    rng = np.random.default_rng(3)
    baselines = make_baselines("x", images(rng, 600))
    streams = counted(baselines, [images(rng, WINDOW) for _ in range(10)] + [drifted(rng) for _ in range(3)])
    assert not found(streams, 10)
    assert not found(streams, 11), "one window alone never alarms"
    findings = found(streams, 13)
    assert group in {one.group for one in findings}
    assert {one.since for one in findings} == {10}
    assert all(one.psi >= EFFECT_GATE and one.log_e > math.log(1 / FDR_LEVEL) for one in findings)


def test_a_small_change_that_is_certain_does_not_wake_anybody() -> None:
    rng = np.random.default_rng(5)
    baselines = make_baselines("x", rng.normal(0, 1, (100_000, 1)))
    streams = counted(baselines, [rng.normal(0.3, 1, (5000, 1)) for _ in range(300)])
    finding = find(streams[0])
    assert finding is not None
    assert finding.log_e > 10
    assert 0.05 < finding.psi < EFFECT_GATE
    assert not alarms([finding])


def test_too_little_data_says_nothing() -> None:
    stream = Stream("x", "level", np.full(8, 50.0), np.array([[9.0, 0, 0, 0, 0, 0, 0, 0]] * 3))
    assert find(stream) is None
    assert find(upto(Stream("x", "level", np.full(8, 50.0), np.full((3, 8), 50.0)), 1)) is None


def test_one_window_counts_no_more_than_its_looks() -> None:
    huge = np.array([[1e6, 0, 0, 0], [1e6, 0, 0, 0.0]])
    finding = find(Stream("x", "level", np.full(4, 100.0), huge))
    assert finding is not None
    assert finding.observations == 512


def test_tied_bins_of_a_constant_feature_do_not_alarm() -> None:
    rng = np.random.default_rng(2)
    baselines = make_baselines("x", np.zeros((300, 8, 8)))
    assert not found(counted(baselines, [np.zeros((50, 8, 8)) for _ in range(20)]), 20)
    moved = counted(baselines, [rng.uniform(0, 1, (50, 8, 8)) for _ in range(4)])
    assert found(moved, 4), "leaving the only value the baseline knows is drift"


def test_the_correction_takes_out_what_sampling_alone_gives() -> None:
    rng = np.random.default_rng(4)
    reference = np.full(8, 1000.0)
    plain, corrected = [], []
    for _ in range(300):
        live = rng.multinomial(100, np.full(8, 1 / 8)).astype(float)
        q, p = reference / reference.sum(), (live + 0.5) / (live + 0.5).sum()
        plain.append(float(((p - q) * np.log(p / q)).sum()))
        corrected.append(corrected_psi(reference, live, 100))
    assert np.mean(np.array(plain) > 0.1) > 0.1
    assert np.mean(np.array(corrected) > 0.1) < 0.02


def test_only_the_drifted_devices_are_named() -> None:
    rng = np.random.default_rng(6)
    baselines = make_baselines("x", images(rng, 600))
    good = {s.name: s for s in counted(baselines, [images(rng, 400)])}
    bad = {s.name: s for s in counted(baselines, [images(rng, 400, brightness=0.4)])}
    level = good["x.mean"]
    counts = {"cam-1": level.windows[0], "cam-2": bad["x.mean"].windows[0], "cam-3": np.zeros(32)}
    assert devices_past_gate(level, counts) == ("cam-2",)


def test_many_streams_raise_the_bar_for_each() -> None:
    strong = Finding("a", "g", math.log(30), 0, 500, 0.5, 0.3, None)
    silent = [Finding(f"s{n}", "g", -3.0, 0, 500, 0.0, 0.0, None) for n in range(9)]
    assert alarms([strong]) == (strong,)
    assert alarms([strong, *silent]) == ()
    together = [Finding(f"t{n}", "g", math.log(30), 0, 500, 0.5, 0.3, None) for n in range(10)]
    assert len(alarms(together)) == 10, "ten agreeing streams carry each other over the bar (e-BH)"


whole = arrays.arrays(np.float64, (4, 6), elements=st.integers(0, 5000).map(float))


@given(arrays.arrays(np.float64, 6, elements=st.integers(0, 2000).map(float)), whole)
def test_whatever_is_counted_gives_finite_figures_or_nothing(baseline: Array, windows: Array) -> None:
    finding = find(Stream("x", "level", baseline, windows))
    if finding is not None:
        assert finding.psi >= 0
        assert math.isfinite(finding.psi)
        assert not math.isnan(finding.log_e)
        assert 0 <= finding.total_variation <= 1


def test_a_quantised_variant_is_compared_with_its_own_answers() -> None:
    """Counts of a detector of people and its uint8 form: the same class on all 300 pictures, probabilities rounded."""
    source = np.array([0] * 42 + [1, 0, 0, 1, 1, 0, 0, 2, 2, 1, 1, 3, 4, 5, 5, 7, 16, 24, 32, 52, 90, 52], float)
    own = np.array([0] * 40 + [1, 0, 0, 0, 0, 0, 1, 3, 0, 1, 1, 3, 2, 2, 3, 5, 4, 13, 18, 24, 43, 61, 98, 16], float)
    rng = np.random.default_rng(6)
    windows = np.stack([rng.multinomial(WINDOW, own / own.sum()) for _ in range(20)]).astype(float)
    beside = {name: find(Stream("confidence", "answers", one, windows)) for name, one in (("s", source), ("o", own))}
    assert beside["s"] is not None
    assert beside["o"] is not None
    assert beside["s"].psi > EFFECT_GATE / 2
    assert beside["o"].psi < EFFECT_GATE / 10
    assert not alarms([beside["o"]])
