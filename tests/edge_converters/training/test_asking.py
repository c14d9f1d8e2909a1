"""Training is asked for in words; what cannot be done is refused before anything is trained, and the way is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_converters.conversion import convert
from edge_converters.datasets import LEAST_TRAINING, Data, Samples, digest_of, make_data, make_training
from edge_converters.errors import BadInput
from edge_converters.job import Method
from edge_converters.retraining import split
from edge_converters.training import ORDER, Distil, FineTune, Prune, RoundAware, Training, as_plain, from_plain, parse
from edge_profiles.boards import load

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 4, 4, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 300)
SAMPLES = Samples(X[100:], Y[100:])


@pytest.fixture
def data() -> Data:
    return make_data(Samples(X[:20], None), Samples(X[20:60], Y[20:60]), test=Samples(X[60:100], Y[60:100]))


def test_steps_are_taken_in_the_order_that_makes_sense() -> None:
    training = Training(SAMPLES, parse(["qat", "prune=2:4", "fine-tune", "distil=0.25"]))

    assert training.steps == (Distil(0.25), Prune(of=4, keep=2), FineTune(), RoundAware())
    assert [str(step) for step in training.steps] == ["distil=0.25", "prune=2:4", "fine-tune", "qat"]


@given(st.permutations(ORDER), st.integers(1, 500), st.none() | st.floats(1e-6, 0.5))
def test_a_step_travels_to_the_child_and_back(kinds: list, epochs: int, rate: float | None) -> None:
    steps = [kind(epochs=epochs, rate=rate) for kind in kinds]

    assert [from_plain(as_plain(step)) for step in steps] == steps
    assert [type(step) for step in Training(SAMPLES, tuple(steps)).steps] == list(ORDER)


REFUSED = {
    "": "is no training step",
    "quantise": "'quantise' is no training step",
    "prune=much": "'prune=much' is no training step",
    "fine-tune=3": "'fine-tune=3' is no training step",
    "prune=1.5": "the share of weights that go is between 0 and 1",
    "prune=4:4": "of so many weights some stay and some go",
    "distil=1": "a student is narrower than its teacher",
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_is_no_step_is_refused_with_what_there_is(word: str) -> None:
    with pytest.raises(BadInput, match=REFUSED[word]) as refusal:
        Training(SAMPLES, parse([word]))
    assert refusal.value.hint


def test_nothing_to_do_or_the_same_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="nothing to do with it"):
        Training(SAMPLES, ())
    with pytest.raises(BadInput, match="prune is asked for twice"):
        Training(SAMPLES, parse(["prune=0.5", "prune=0.8"]))


@pytest.mark.parametrize(("rows", "where"), [(5, "calibration"), (30, "evaluation"), (70, "test")])
def test_a_sample_that_judges_or_calibrates_is_not_learnt_from(data: Data, rows: int, where: str) -> None:
    with pytest.raises(BadInput, match=f"1 of 201 samples of mine.npz are also in the {where} data") as refusal:
        make_training(Samples(np.concatenate([X[100:], X[rows : rows + 1]]), None), data, "mine.npz")
    assert "made with or chosen by" in refusal.value.hint


def test_training_data_of_another_shape_or_too_little_of_it_is_refused(data: Data) -> None:
    with pytest.raises(BadInput, match=r"a sample is \(4, 4, 1\) in the calibration data and \(16,\) in"):
        make_training(Samples(X[100:].reshape(-1, 16), None), data)
    with pytest.raises(BadInput, match=f"holds 20 samples, at least {LEAST_TRAINING} are needed"):
        make_training(Samples(X[100:120], None), data)


def test_what_tells_the_best_epoch_is_not_learnt_and_does_not_depend_on_the_order_of_the_file(data: Data) -> None:
    turned = Samples(SAMPLES.x[::-1], SAMPLES.y[::-1])

    learning, validation = split(make_training(SAMPLES, data))
    _, other = split(make_training(turned, data))

    assert (len(learning), len(validation)) == (170, 30)
    assert not {row.tobytes() for row in learning.x} & {row.tobytes() for row in validation.x}
    assert (validation.x == other.x).all()
    assert (validation.y == other.y).all()
    assert digest_of(SAMPLES) == digest_of(turned) != digest_of(replace(SAMPLES, x=SAMPLES.x + 1))


def test_an_onnx_file_is_not_trained_and_the_way_is_told(data: Data, tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    source.write_bytes(b"\x08\x08")
    method = Method(training=Training(make_training(SAMPLES, data), (FineTune(),)))

    with pytest.raises(BadInput, match=r"model\.onnx is of the kind onnx, whose layers cannot be trained") as refusal:
        convert(source, [load("rpi4-litert")], data, output=tmp_path / "bundle", method=method)
    assert "Save the model as a .keras file" in refusal.value.hint
