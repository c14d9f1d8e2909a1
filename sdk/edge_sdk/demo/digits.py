"""Trains a small convolutional net on scikit-learn's digits and writes it with its data. A program of its own.

`python -m edge_sdk.demo.digits FOLDER` writes `model.keras`, `calibration.npz`, `evaluation.npz`, `samples.npz` (arrays
`x` [n, 8, 8, 1] in 0..1 and `y` [n]) and prints one line of JSON. It runs in a process of its own because TensorFlow is
large and slow to load.

Data: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (1,797 images of 8 x 8).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import sklearn.datasets

SEED: Final = 7
SPLITS: Final = {"training": 900, "calibration": 150, "evaluation": 450, "samples": 297}
EPOCHS: Final = 60


def main(folder: Path) -> None:
    """Train, write, say how good it is."""
    keras.utils.set_random_seed(SEED)
    splits = _splits()
    model = _net()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    training = splits.pop("training")
    model.fit(training["x"], training["y"], batch_size=32, epochs=EPOCHS, verbose=0)
    _loss, accuracy = model.evaluate(splits["samples"]["x"], splits["samples"]["y"], verbose=0)
    for name, arrays in splits.items():
        np.savez(folder / f"{name}.npz", **arrays)
    model.save(folder / "model.keras")
    print(json.dumps({"accuracy": float(accuracy), "parameters": int(model.count_params())}))  # noqa: T201 - its answer


def _splits() -> dict[str, dict[str, Any]]:
    digits = sklearn.datasets.load_digits()
    x = (digits.images / 16.0).astype(np.float32)[..., None]
    order = np.random.default_rng(SEED).permutation(len(x))
    ends = np.cumsum(list(SPLITS.values()))
    pieces = np.split(order, ends[:-1])
    return {name: {"x": x[piece], "y": digits.target[piece]} for name, piece in zip(SPLITS, pieces, strict=True)}


def _net() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
