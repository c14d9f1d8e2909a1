"""From every kind of source to every format: a table of steps, and the one function that walks it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge_converters.sources import Source, SourceKind
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from edge_profiles.schemes import Format


class Step(StrEnum):
    """One way from a form of the model to the next."""

    CANONICAL_SAVED_MODEL = "canonical-saved-model"
    CANONICAL_ONNX = "canonical-onnx"
    CANONICAL_TFLITE = "canonical-tflite"
    TENSORFLOW_TO_ONNX = "tensorflow-to-onnx"
    ONNX_TO_TENSORFLOW = "onnx-to-tensorflow"
    TENSORFLOW_TO_TFLITE = "tensorflow-to-tflite"
    TFLITE_TO_ONNX = "tflite-to-onnx"


ROUTES: Final[dict[tuple[SourceKind, Format], tuple[Step, ...]]] = {
    (SourceKind.KERAS, "tflite"): (Step.CANONICAL_SAVED_MODEL, Step.TENSORFLOW_TO_TFLITE),
    (SourceKind.SAVED_MODEL, "tflite"): (Step.CANONICAL_SAVED_MODEL, Step.TENSORFLOW_TO_TFLITE),
    (SourceKind.ONNX, "onnx"): (Step.CANONICAL_ONNX,),
    (SourceKind.KERAS, "onnx"): (Step.CANONICAL_SAVED_MODEL, Step.TENSORFLOW_TO_ONNX, Step.CANONICAL_ONNX),
    (SourceKind.SAVED_MODEL, "onnx"): (Step.CANONICAL_SAVED_MODEL, Step.TENSORFLOW_TO_ONNX, Step.CANONICAL_ONNX),
    (SourceKind.TFLITE, "tflite"): (Step.CANONICAL_TFLITE,),
    (SourceKind.TFLITE, "onnx"): (Step.CANONICAL_TFLITE, Step.TFLITE_TO_ONNX, Step.CANONICAL_ONNX),
    (SourceKind.ONNX, "tflite"): (
        Step.CANONICAL_ONNX,
        Step.ONNX_TO_TENSORFLOW,
        Step.CANONICAL_SAVED_MODEL,
        Step.TENSORFLOW_TO_TFLITE,
    ),
}
"""The last step's result is what variants of the format are made from."""


def travel(source: Source, target: Format, folder: Path, worker: Worker) -> Path:
    """The canonical form of `source` for `target`, in `folder`. Steps done before are not done again."""
    path, kind = source.path, source.kind
    for step in ROUTES[source.kind, target]:
        path = _STEPS[step](path, kind, folder, worker)
        kind = _KINDS.get(path.suffix, SourceKind.SAVED_MODEL)
    return path


def _canonical_saved_model(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    output = folder / "canonical-saved-model"
    if not output.exists():
        worker.call(Task.PREPARE_TENSORFLOW, source=str(path), kind=kind, saved_model=str(output))
    return output


def _canonical_onnx(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    del kind
    output = folder / "canonical.onnx"
    if not output.exists():
        worker.call(Task.PREPARE_ONNX, source=str(path), canonical=str(output))
    return output


def _canonical_tflite(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    del kind
    output = folder / "canonical.tflite"
    if not output.exists():
        worker.call(Task.PREPARE_TFLITE, source=str(path), output=str(output))
    return output


def _tflite_to_onnx(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    del kind
    output = folder / "exported.onnx"
    worker.call(Task.TFLITE_TO_ONNX, canonical=str(path), output=str(output))
    return output


def _tensorflow_to_onnx(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    del kind
    output = folder / "exported.onnx"
    worker.call(Task.TENSORFLOW_TO_ONNX, saved_model=str(path), output=str(output))
    return output


def _onnx_to_tensorflow(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    """In a process of its own: the library changes the working directory and ends the process on some errors."""
    del kind, worker
    output = folder / "imported-saved-model"
    with Worker() as own:
        own.call(Task.ONNX_TO_TENSORFLOW, canonical=str(path), saved_model=str(output))
    return output


def _tensorflow_to_tflite(path: Path, kind: SourceKind, folder: Path, worker: Worker) -> Path:
    del kind
    output = folder / "canonical.tflite"
    worker.call(Task.TFLITE_FROM_SAVED_MODEL, saved_model=str(path), output=str(output))
    return output


_KINDS: Final = {".onnx": SourceKind.ONNX, ".tflite": SourceKind.TFLITE}
_STEPS: Final[dict[Step, Callable[[Path, SourceKind, Path, Worker], Path]]] = {
    Step.CANONICAL_SAVED_MODEL: _canonical_saved_model,
    Step.CANONICAL_ONNX: _canonical_onnx,
    Step.CANONICAL_TFLITE: _canonical_tflite,
    Step.TFLITE_TO_ONNX: _tflite_to_onnx,
    Step.TENSORFLOW_TO_ONNX: _tensorflow_to_onnx,
    Step.ONNX_TO_TENSORFLOW: _onnx_to_tensorflow,
    Step.TENSORFLOW_TO_TFLITE: _tensorflow_to_tflite,
}
