"""The float baseline: the source's own answers, and per format a float file that is shown to equal it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.datasets import Data
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.files import RUN_ON_CPU, ModelFile, inspect_file, run, stored_inputs
from edge_converters.making import Material, PassStep, canonicalise, make_file
from edge_converters.metrics import in_order
from edge_converters.parity import check_parity
from edge_converters.recipes import Recipe
from edge_converters.routes import travel
from edge_converters.sources import Source, SourceKind
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from edge_profiles.schemes import Format, Scheme

Array = npt.NDArray[Any]

PARITY_SAMPLES: Final = 16

DESCRIBE: Final[dict[SourceKind, Task]] = {
    SourceKind.KERAS: Task.DESCRIBE_TENSORFLOW,
    SourceKind.SAVED_MODEL: Task.DESCRIBE_TENSORFLOW,
    SourceKind.ONNX: Task.DESCRIBE_ONNX,
    SourceKind.TFLITE: Task.DESCRIBE_TFLITE,
}
RUN_SOURCE: Final[dict[SourceKind, Task]] = {
    SourceKind.KERAS: Task.RUN_TENSORFLOW_SOURCE,
    SourceKind.SAVED_MODEL: Task.RUN_TENSORFLOW_SOURCE,
    SourceKind.ONNX: Task.RUN_ONNX_SOURCE,
    SourceKind.TFLITE: Task.RUN_TFLITE_SOURCE,
}
BASE: Final = Recipe(Scheme.FP32)


@dataclass(frozen=True)
class Floats:
    """What every variant is made from and compared with."""

    canonical: dict[Format, Path]
    """After the lossless passes: what every variant is made from."""
    files: dict[Format, ModelFile]
    """Before them: what a variant's size and latency are compared with."""
    parity: dict[Format, float]
    """Largest difference of the canonical file to the source, as a share of the output's range."""
    steps: dict[Format, tuple[PassStep, ...]]
    """What the lossless passes left."""
    reference: dict[str, Array]
    """The source's answers to the evaluation data, by output name, in the source's order."""
    material: Material
    """Calibration data as the float model takes it."""


def prepare(source: Source, data: Data, formats: Collection[Format], folder: Path, worker: Worker, seed: int) -> Floats:
    """Run the source, make its float file in each format, and prove them equal on real and random inputs.

    Raises:
        BadInput: the samples do not fit the model's input.
        CheckFailed: a float file differs from its source.
        NotConvertible: no way to a format.
    """
    described = worker.call(DESCRIBE[source.kind], source=str(source.path), kind=source.kind)
    _check_shape(tuple(described["shape"]), data)
    inputs = _inputs(data, seed)
    paths = {name: _save(folder / f"{name}.npy", array) for name, array in inputs.items()}
    answers = folder / "reference.npz"
    asked = {name: str(paths[name]) for name in ("real", "random", "evaluation")}
    said = worker.call(
        RUN_SOURCE[source.kind], source=str(source.path), kind=source.kind, inputs=asked, answers=str(answers)
    )
    with np.load(answers) as arrays:
        got = {name: {key: arrays[f"{name}/{key}"] for key in said["outputs"]} for name in asked}
    _check_outputs(got["real"])
    expected = {name: np.concatenate([got["real"][name], got["random"][name]]) for name in said["outputs"]}
    made = _Made({}, {}, {}, {})
    material = Material(paths["calibration"], seed)
    for target in formats:
        path = travel(source, target, folder, worker)
        smaller = canonicalise(path, target, material, worker)
        names = tuple(said["outputs"])
        made.files[target] = _float_file(path, target, material, names, worker)
        file = _float_file(smaller.path, target, material, names, worker)
        entry = stored_inputs(file, np.concatenate([inputs["real"], inputs["random"]]), "parity")
        real, _ = run(file, RUN_ON_CPU[target], entry, worker, threads=1)
        made.parity[target] = check_parity(expected, in_order(said["outputs"], real), f"the float {target} file")
        made.canonical[target], made.steps[target] = smaller.path, smaller.steps
    return Floats(made.canonical, made.files, made.parity, made.steps, got["evaluation"], material)


@dataclass(frozen=True)
class _Made:
    """By format; filled while they are made."""

    canonical: dict[Format, Path]
    files: dict[Format, ModelFile]
    parity: dict[Format, float]
    steps: dict[Format, tuple[PassStep, ...]]


def _float_file(path: Path, kind: Format, material: Material, names: tuple[str, ...], worker: Worker) -> ModelFile:
    return inspect_file(make_file(path, kind, BASE, "cpu", material, worker).path, kind, names, worker)


def _check_shape(shape: tuple[int | None, ...], data: Data) -> None:
    given = data.evaluation.x.shape[1:]
    if given != shape[1:]:
        raise BadInput(
            f"a sample of the data has the shape {given}, the model takes {tuple(shape[1:])}",
            "Save x as [samples, ...] in the model's own layout.",
        )


def _check_outputs(answers: dict[str, Array]) -> None:
    for name, values in answers.items():
        if values.dtype.kind != "f":
            raise NotConvertible(
                f"the output {name!r} is {values.dtype}, not float32",
                "Give the scores that it is made from, and leave the choice to whoever reads them.",
            )


def _inputs(data: Data, seed: int) -> dict[str, Array]:
    calibration = data.model_input(data.calibration.x)
    random = np.random.default_rng(seed).uniform(
        calibration.min(), calibration.max(), (PARITY_SAMPLES, *calibration.shape[1:])
    )
    return {
        "calibration": calibration,
        "real": calibration[:PARITY_SAMPLES],
        "random": random.astype(np.float32),
        "evaluation": data.model_input(data.evaluation.x),
    }


def _save(path: Path, array: Array) -> Path:
    np.save(path, array)
    return path
