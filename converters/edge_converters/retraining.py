"""A source trained by the steps that were asked for, converted in place of the source, and still compared with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_converters.datasets import LEAST_EVALUATION, Data, Samples
from edge_converters.floats import Floats, prepare
from edge_converters.sources import Source, recognise
from edge_converters.tasks import Task
from edge_converters.training import Lesson, Training, as_plain
from edge_converters.workers import Worker
from edge_profiles.schemes import Format

VALIDATION_SHARE: Final = 0.15
"""Of the training data: tells which epoch is kept, and is learnt by none."""


@dataclass(frozen=True)
class Retrained:
    """Float files of the trained model beside the source's own figures, and what each step led to."""

    floats: Floats
    lessons: tuple[Lesson, ...]


def retrain(
    source: Source,
    training: Training,
    data: Data,
    floats: Floats,
    formats: Collection[Format],
    folder: Path,
    worker: Worker,
    seed: int,
) -> Retrained:
    """Train `source` and make the float files that variants start from. `floats` are those of the source itself.

    What variants are compared with stays the source: its answers, its size, its latency.

    Raises:
        BadInput: the labels do not fit the model, or the file cannot be read by Keras 3.
        NotConvertible: the model is of a kind that is not trained; or as `prepare`.
        CheckFailed: as `prepare`.
    """
    own = folder / "trained"
    own.mkdir()
    with Worker() as child:  # that training is repeatable is a switch for a whole process, which makes it slower
        trained, lessons = train(source, training, data, own, seed, child)
    made = prepare(trained, data, formats, own, worker, seed)
    return Retrained(replace(made, reference=floats.reference, files=floats.files), lessons)


def split(samples: Samples) -> tuple[Samples, Samples]:
    """What is learnt from and what tells how well, in the order that `datasets.make_training` gave."""
    cut = max(LEAST_EVALUATION, round(len(samples) * VALIDATION_SHARE))
    rows = np.arange(len(samples))
    return samples.take(rows[cut:]), samples.take(rows[:cut])


def train(
    source: Source, training: Training, data: Data, folder: Path, seed: int, worker: Worker
) -> tuple[Source, tuple[Lesson, ...]]:
    """The trained model as a Keras file in `folder`, and what each step led to; the same for the same input.

    Raises:
        BadInput, NotConvertible: as `retrain`.
    """
    samples, output = folder / "samples.npz", folder / "trained.keras"
    learning, validation = split(training.samples)
    arrays: dict[str, Any] = {
        "x": data.model_input(learning.x),
        "y": _labels(learning),
        "validation_x": data.model_input(validation.x),
        "validation_y": _labels(validation),
        "calibration": data.model_input(data.calibration.x),
    }
    np.savez(samples, **arrays)
    said = worker.call(
        Task.TRAIN_KERAS,
        source=str(source.path),
        samples=str(samples),
        labelled=training.samples.y is not None,
        steps=[as_plain(step) for step in training.steps],
        seed=seed,
        output=str(output),
    )
    return recognise(output), tuple(Lesson(**each) for each in said["lessons"])


def _labels(samples: Samples) -> Any:
    """Zeros where there are none, for one row of arrays in all cases."""
    return np.zeros(len(samples), np.float32) if samples.y is None else samples.y
