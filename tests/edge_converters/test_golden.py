"""Golden samples: many classes, clear answers, the same bytes; tolerances from what was seen."""

from __future__ import annotations

import io

import numpy as np

from edge_converters.golden import GOLDEN_SAMPLES, choose, pack, tolerance

SCORES = np.eye(4, dtype=np.float32)[np.arange(40) % 4] * np.linspace(0.3, 1, 40, dtype=np.float32)[:, None]


def test_golden_samples_come_from_all_classes_and_are_clear():
    rows = np.arange(10, 34)
    places = choose({"scores": SCORES}, True, rows)

    assert len(places) == GOLDEN_SAMPLES
    assert set(SCORES[rows[places]].argmax(axis=1)) == {0, 1, 2, 3}
    assert SCORES[rows[places]].max(axis=1).min() > np.median(SCORES[rows].max(axis=1))


def test_few_samples_are_all_taken():
    assert sorted(choose({"scores": SCORES}, True, np.arange(5))) == [0, 1, 2, 3, 4]
    assert choose({"scores": SCORES}, False, np.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_the_file_holds_stored_values_and_is_the_same_each_time():
    inputs, outputs = np.arange(6, dtype=np.int8).reshape(2, 3), [np.ones((2, 4), np.uint16), np.zeros((2, 1), np.int8)]
    packed = pack(inputs, outputs)

    with np.load(io.BytesIO(packed)) as arrays:
        assert list(arrays) == ["input_0", "output_0", "output_1"]
        np.testing.assert_array_equal(arrays["input_0"], inputs)
        assert arrays["output_0"].dtype == np.uint16
    assert pack(inputs, outputs) == packed


def test_a_tolerance_covers_twice_what_another_engine_differs():
    assert tolerance({"scores": SCORES}, True, 0.0).absolute == np.float32(0.02)
    assert tolerance({"scores": SCORES}, False, 0.0).absolute == np.float32(0.002)
    assert tolerance({"scores": SCORES}, False, 0.04).absolute == 0.08
