"""Steps by a Keras source's own gradients mislead it, stay as small as they say, and more steps mislead more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_converters.floats import RUN_SOURCE
from edge_converters.robustness.attacks import margins
from edge_converters.sources import SourceKind
from edge_converters.tasks import Task
from edge_converters.workers import Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZES = [0.05, 0.2]


@pytest.fixture(scope="module")
def attacked(made_by_tensorflow: Path, worker: Worker, tmp_path_factory: pytest.TempPathFactory):
    """Margins of the class that was told for clean inputs: clean, and by steps and size; and how far inputs moved."""
    folder = tmp_path_factory.mktemp("attacked")
    source = {"source": str(made_by_tensorflow / "small.keras"), "kind": SourceKind.KERAS}
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)

    def answers(inputs: np.ndarray) -> np.ndarray:
        np.save(folder / "inputs.npy", inputs)
        asked = {"x": str(folder / "inputs.npy")}
        said = worker.call(RUN_SOURCE[SourceKind.KERAS], **source, inputs=asked, answers=str(folder / "answers.npz"))
        with np.load(folder / "answers.npz") as arrays:
            return arrays[f"x/{said['outputs'][0]}"]

    told = answers(x).argmax(axis=1)
    np.save(folder / "x.npy", x)
    np.save(folder / "told.npy", told)
    np.save(folder / "starts.npy", np.zeros_like(x))
    found, moved = {"clean": margins(answers(x), told)}, {}
    for steps in (1, 10):
        worker.call(
            Task.STEP_AGAINST_SOURCE,
            **source,
            inputs=str(folder / "x.npy"),
            starts=str(folder / "starts.npy"),
            classes=str(folder / "told.npy"),
            sizes=SIZES,
            steps=steps,
            output=str(folder / "made.npz"),
        )
        with np.load(folder / "made.npz") as made:
            for place, size in enumerate(SIZES):
                moved[steps, size] = np.abs(made[f"size_{place}"] - x).max()
                found[steps, size] = margins(answers(made[f"size_{place}"]), told)
    return found, moved


def test_every_step_is_as_large_as_it_may_be_and_no_larger(attacked):
    _, moved = attacked

    for (_, size), most in moved.items():
        assert most == pytest.approx(size, rel=1e-3)


def test_steps_lower_the_margin_of_what_was_told_and_larger_ones_lower_it_more(attacked):
    margin, _ = attacked

    for steps in (1, 10):
        assert margin["clean"].mean() > margin[steps, 0.05].mean() > margin[steps, 0.2].mean()
    assert margin[10, 0.2].mean() <= margin[1, 0.2].mean() + 1e-3
    assert (margin[10, 0.2] < margin["clean"]).all()
