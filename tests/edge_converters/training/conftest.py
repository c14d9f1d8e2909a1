"""Nets trained on scikit-learn's digits, a split of them for each use, and one child that trains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from edge_converters.datasets import Data, Samples, make_data, make_training
from edge_converters.retraining import train
from edge_converters.sources import recognise
from edge_converters.tasks import Task
from edge_converters.training import Lesson, Step, Training
from edge_converters.workers import Worker

SEED = 7
MAKE = """
import pathlib, sys, keras, numpy
folder, layers = pathlib.Path(sys.argv[1]), keras.layers
with numpy.load(folder / "training.npz") as arrays:
    x, y = arrays["x"], arrays["y"]

def trained(model, epochs):
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model

def plain():
    convolutions = [layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu")]
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), *convolutions, layers.Flatten(),
        layers.Dense(10, activation="softmax", name="digit")])

def branched():
    image = keras.Input((8, 8, 1), name="image")
    stem = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", use_bias=False)(image)))
    deep = layers.Conv2D(16, 1, activation="relu")(layers.DepthwiseConv2D(3, padding="same")(stem))
    deep = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(deep))
    both = layers.Activation("relu")(layers.Add()([stem, deep]))
    other = layers.Conv2D(12, 3, strides=2, padding="same", activation="tanh")(both)
    wide = layers.Concatenate()([layers.MaxPooling2D()(both), other])
    flat = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(wide))
    trunk = keras.Model(image, layers.Dense(10)(flat))
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), trunk, layers.Softmax()])

def hostile(model):
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    for first, second in zip(convolutions, convolutions[1:]):
        factors = 2.0 ** (14 * (numpy.random.default_rng(0).permutation(first.filters) < first.filters // 4))
        kernel, bias = first.get_weights()
        first.set_weights([kernel * factors, bias * factors])
        kernel, bias = second.get_weights()
        second.set_weights([kernel / factors[:, None], bias])
    return model

keras.utils.set_random_seed(7)
net = trained(plain(), 20)
net.save(folder / "plain.keras")
trained(branched(), 4).save(folder / "branched.keras")
hostile(net).save(folder / "hostile.keras")
image, twice = keras.Input((8, 8, 1)), layers.Dense(64, name="twice")
keras.Model(image, layers.Dense(10)(twice(twice(layers.Flatten()(image))))).save(folder / "shared.keras")
"""
"""`branched` holds a model as a layer; `hostile` answers as `plain` does, and some of its channels are 16,384 times as
large as the others."""


@dataclass(frozen=True)
class School:
    """Models, data and a child that trains."""

    folder: Path
    data: Data
    samples: Samples
    worker: Worker

    def teach(self, model: str, folder: Path, *steps: Step) -> tuple[Path, tuple[Lesson, ...]]:
        """The model after the steps, as a file."""
        training = Training(self.samples, steps)
        trained, lessons = train(recognise(self.folder / model), training, self.data, folder, SEED, self.worker)
        return trained.path, lessons

    def accuracy(self, model: Path, folder: Path) -> float:
        """On the evaluation data."""
        (answers,) = self.answers(model, folder).values()
        return float(np.mean(answers.argmax(axis=1) == self.data.evaluation.y))

    def answers(self, model: Path, folder: Path) -> dict[str, np.ndarray]:
        """To the evaluation data."""
        np.save(folder / "x.npy", self.data.evaluation.x)
        inputs, answers = {"x": str(folder / "x.npy")}, folder / "answers.npz"
        said = self.worker.call(
            Task.RUN_TENSORFLOW_SOURCE, source=str(model), kind="keras", inputs=inputs, answers=str(answers)
        )
        with np.load(answers) as arrays:
            return {name: arrays[f"x/{name}"] for name in said["outputs"]}


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder, digits = tmp_path_factory.mktemp("school"), sklearn.datasets.load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    x, y = (digits.images[order, :, :, None] / 16).astype(np.float32), digits.target[order]
    np.savez(folder / "training.npz", x=x[:900], y=y[:900])
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    data = make_data(Samples(x[900:1050], None), Samples(x[1050:], y[1050:]))
    with Worker() as worker:
        yield School(folder, data, make_training(Samples(x[:900], y[:900]), data), worker)
