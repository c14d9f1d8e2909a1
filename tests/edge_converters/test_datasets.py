"""Data is checked before anything runs: one sentence says what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import MOST_CALIBRATION, Samples, make_data, read_data
from edge_converters.errors import BadInput
from edge_converters.resemblance import compare

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 4, 4, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 60)


def saved(folder: Path, name: str, **arrays: np.ndarray) -> Path:
    path = folder / name
    np.savez(path, **arrays)
    return path


def test_splits_share_no_sample_and_do_not_depend_on_the_order(tmp_path):
    calibration = saved(tmp_path, "c.npz", x=X[:20])
    data = read_data(calibration, saved(tmp_path, "e.npz", x=X[20:], y=Y[20:]))
    other = read_data(calibration, saved(tmp_path, "r.npz", x=X[:19:-1], y=Y[:19:-1]))

    rows = [*data.ranking_rows, *data.decision_rows]
    assert sorted(rows) == list(range(40))
    ranked = {row.tobytes() for row in data.evaluation.x[data.ranking_rows]}
    assert ranked == {row.tobytes() for row in other.evaluation.x[other.ranking_rows]}
    assert data.digests == other.digests


def test_stored_values_become_the_models_input():
    stored = RNG.integers(-128, 127, (40, 5)).astype(np.int8)
    data = make_data(Samples(stored[:20], None), Samples(stored[20:], None), Preprocessing(offset=83, scale=0.5))

    assert data.model_input(np.array([[85]], np.int8)).tolist() == [[1.0]]
    assert data.model_input(stored).dtype == np.float32


def test_calibration_is_limited():
    many = RNG.normal(size=(MOST_CALIBRATION + 44, 3))

    assert len(make_data(Samples(many, None), Samples(X.reshape(320, 3), None)).calibration) == MOST_CALIBRATION


FAULTS = {
    "no x": ({"samples": X[20:]}, r"has no array x \(it has: samples\)"),
    "NaN": ({"x": np.where(np.arange(40).reshape(40, 1, 1, 1) == 7, np.nan, X[20:])}, "sample 7 of x holds NaN"),
    "text": ({"x": np.array([["a"]] * 40)}, "x is <U1, not numbers"),
    "no samples": ({"x": np.float32(1)}, r"x has the shape \(\)"),
    "other shape": ({"x": X[20:].reshape(40, 16)}, r"a sample is \(4, 4, 1\) in .*c.npz and \(16,\) in .*e.npz"),
    "too few": ({"x": X[50:]}, "holds 10 samples, at least 16 are needed"),
    "labels missing": ({"x": X[20:], "y": Y[21:]}, "40 samples in x and 39 labels in y"),
    "labels of another kind": ({"x": X[20:], "y": Y[20:] > 0}, "y is bool of shape"),
    "true values that are none": ({"x": X[20:], "y": np.full(40, np.nan)}, "y is float64 of shape"),
    "groups of some samples": ({"x": X[20:], "slice_site": Y[21:]}, r"slice_site is int64 of shape \(39,\)"),
    "groups by real values": ({"x": X[20:], "slice_age": Y[20:] / 2}, "slice_age is float64 of shape"),
    "seen in calibration": (
        {"x": X[19:], "y": Y[19:]},
        r"1 of 41 samples of .*e.npz are also in .*c.npz \(first: number 0\)",
    ),
}


@pytest.mark.parametrize(("arrays", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(tmp_path, arrays, sentence):
    calibration, evaluation = saved(tmp_path, "c.npz", x=X[:20]), saved(tmp_path, "e.npz", **arrays)

    with pytest.raises(BadInput, match=sentence) as refusal:
        read_data(calibration, evaluation)

    assert refusal.value.hint


def test_a_repeated_sample_is_found_whatever_number_type_it_was_saved_in(tmp_path):
    whole = RNG.integers(0, 200, (40, 6))
    calibration = saved(tmp_path, "c.npz", x=whole[:20].astype(np.uint8))

    with pytest.raises(BadInput, match="20 of 40 samples"):
        read_data(calibration, saved(tmp_path, "e.npz", x=whole.astype(np.float32)))


def test_copies_of_a_sample_lie_on_one_side_and_are_told():
    """Ten of forty samples eleven times each."""
    few, rest = np.repeat(X[20:30], 11, axis=0), X[30:]
    data = make_data(Samples(X[:20], None), Samples(np.concatenate([few, rest]), None))

    ranked, decided = (
        {row.tobytes() for row in data.evaluation.x[rows]} for rows in (data.ranking_rows, data.decision_rows)
    )
    assert ranked
    assert decided
    assert not ranked & decided
    assert "100 of 140 evaluation samples repeat others" in data.remarks[0]


def test_many_copies_of_few_samples_are_too_few():
    with pytest.raises(BadInput, match="of 60 evaluation samples only 3 differ, at least 16 are needed"):
        make_data(Samples(X[:20], None), Samples(np.repeat(X[20:23], 20, axis=0), None))


def test_ranges_of_a_single_sample_are_told_to_be_doubtful():
    one, usual = (make_data(Samples(X[:count], None), Samples(X[20:], None)) for count in (1, 20))

    assert "1 calibration samples seldom show the ranges" in one.remarks[0]
    assert usual.remarks == ()


@pytest.mark.parametrize(
    ("preprocessing", "sentence"),
    [
        ({"scale": float("nan")}, "the scale nan"),
        ({"scale": 0.0}, "the scale 0"),
        ({"offset": float("inf")}, "the offset is inf"),
        ({"scale": 1e39}, "the calibration data: inputs range over .* beyond what float32 holds"),
    ],
)
def test_preprocessing_that_leaves_no_numbers_is_named(preprocessing, sentence):
    with pytest.raises(BadInput, match=sentence):
        make_data(Samples(X[:20], None), Samples(X[20:], None), Preprocessing(**preprocessing))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_archive_is_named(tmp_path, content):
    path = tmp_path / "c.npz"
    path.write_bytes(content)

    with pytest.raises(BadInput, match=r"c\.npz is not readable"):
        read_data(path, path)


def test_a_pickled_object_is_not_loaded(tmp_path):
    path = saved(tmp_path, "c.npz", x=np.array([{"a": 1}], dtype=object))

    with pytest.raises(BadInput, match="must be arrays of numbers"):
        read_data(path, path)


def test_a_single_array_is_not_taken_for_an_archive(tmp_path):
    path = tmp_path / "c.npz"
    with path.open("wb") as file:
        np.save(file, X)

    with pytest.raises(BadInput, match=r"it is no \.npz file"):
        read_data(path, path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.npz is not readable: No such file"):
        read_data(tmp_path / "nothing.npz", tmp_path / "nothing.npz")


def test_the_test_split_is_kept_apart_from_all_others(tmp_path):
    calibration, evaluation = saved(tmp_path, "c.npz", x=X[:15]), saved(tmp_path, "e.npz", x=X[15:40], y=Y[15:40])
    data = read_data(calibration, evaluation, test=saved(tmp_path, "t.npz", x=X[40:], y=Y[40:]))

    assert data.test is not None
    assert len(data.test) == 20
    assert len(data.evaluation) == 25
    assert set(data.digests) == {"calibration", "evaluation", "test"}
    for first, name in ((14, "c.npz"), (39, "e.npz")):
        with pytest.raises(BadInput, match=rf"1 of {60 - first} samples of .*t.npz are also in .*{name}"):
            read_data(
                calibration,
                evaluation,
                test=saved(tmp_path, "t.npz", x=X[[first, *range(first + 1, 60)]][: 60 - first], y=Y[first:]),
            )


def test_groups_travel_with_their_samples(tmp_path):
    sites = np.where(Y[20:] == 1, "north", "south")
    data = read_data(saved(tmp_path, "c.npz", x=X[:20]), saved(tmp_path, "e.npz", x=X[20:], y=Y[20:], slice_site=sites))
    taken = data.evaluation.take(data.decision_rows)

    assert taken.y is not None
    assert (taken.slices["site"] == np.where(taken.y == 1, "north", "south")).all()


def test_true_values_are_kept_as_they_are(tmp_path):
    data = read_data(saved(tmp_path, "c.npz", x=X[:20]), saved(tmp_path, "e.npz", x=X[20:], y=X[20:, 0, 0]))

    assert data.evaluation.y is not None
    assert data.evaluation.y.shape == (40, 1)


@pytest.mark.parametrize(("scale", "words"), [(100, "times as wide as"), (0.01, "times less wide than")])
def test_calibration_of_another_scale_is_told_by_its_ranges(scale: float, words: str):
    mismatch = compare(X[:20] * scale, X[20:])

    assert mismatch is not None
    assert mismatch.gross
    assert words in mismatch.sentence
    assert "calibration inputs range over" in mismatch.sentence


def test_calibration_from_elsewhere_is_told_by_what_lies_beyond_it():
    mismatch = compare(X[:20] + 40, X[20:])

    assert mismatch is not None
    assert mismatch.gross
    assert "100% of the evaluation values" in mismatch.sentence


SETS = {
    "normal": lambda rng, n: rng.normal(size=(n, 30)),
    "one value a sample": lambda rng, n: rng.normal(size=(n, 1)),
    "heavy tails": lambda rng, n: rng.standard_t(3, size=(n, 20)),
    "mostly zero": lambda rng, n: rng.exponential(size=(n, 200)) * (rng.random((n, 200)) < 0.02),
    "bytes": lambda rng, n: rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8),
    "levels that differ": lambda rng, n: rng.normal(size=(n, 20)) * np.exp(rng.normal(size=(n, 1))),
}


@pytest.mark.parametrize("made", SETS.values(), ids=SETS.keys())
def test_data_of_one_kind_resembles_itself(made):
    rng = np.random.default_rng(11)
    found = [compare(made(rng, 32), made(rng, 300)) for _ in range(50)]

    assert [each for each in found if each is not None and each.gross] == []
