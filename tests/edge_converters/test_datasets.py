"""Data is checked before anything runs: one sentence says what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import MOST_CALIBRATION, Samples, make_data, read_data
from edge_converters.errors import BadInput

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
    "labels of another kind": ({"x": X[20:], "y": Y[20:] / 2}, "y is float64 of shape"),
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
