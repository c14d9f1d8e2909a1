"""A model file that was made: its bytes, what is in it, and running it in the engine that is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.manifest import Accelerator, Engine, TensorSpec
from edge_converters.errors import NotConvertible
from edge_converters.tasks import Task
from edge_converters.tensors import to_real, to_stored
from edge_converters.workers import Answer, Worker
from edge_profiles.schemes import Format

Array = npt.NDArray[Any]

INSPECT: Final[dict[Format, Task]] = {"tflite": Task.INSPECT_TFLITE, "onnx": Task.INSPECT_ONNX}
RUN_ON_CPU: Final[dict[Format, Task]] = {"tflite": Task.RUN_LITERT, "onnx": Task.RUN_ONNXRUNTIME}
"""The engine that answers all samples of an evaluation, whatever the target."""
TIME: Final[dict[tuple[Engine, Accelerator], Task]] = {
    (Engine.ONNXRUNTIME, Accelerator.CPU): Task.TIME_ONNXRUNTIME,
    (Engine.ONNXRUNTIME, Accelerator.QNN_HTP): Task.TIME_QNN,
    (Engine.LITERT, Accelerator.CPU): Task.TIME_LITERT,
    (Engine.LITERT, Accelerator.GPU): Task.TIME_LITERT_GPU,
}
"""Where time can be measured here; a microcontroller's and Ethos-U's cannot."""


@dataclass(frozen=True)
class ModelFile:
    """A model on disk with what its inspection found."""

    path: Path
    format: Format
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[str, ...]
    float_operators: tuple[str, ...]
    per_axis: float
    nodes: int
    weights: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Numbers of elements of the constant weights, by the type they are stored in, the largest first."""
    activations: tuple[str, ...] = ()
    """The types of stored values that operators with weights read."""
    zeros: int = 0
    """Elements of the constant weights that are zero: integer weights are symmetric, so that zero is stored as zero."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size

    @property
    def weight_count(self) -> int:
        """Elements of all constant weights."""
        return sum(sum(sizes) for sizes in self.weights.values())


def inspect_file(path: Path, kind: Format, output_names: tuple[str, ...], worker: Worker) -> ModelFile:
    """What is in `path`. Outputs take the source's names: by name, else by the one shape that fits."""
    found = worker.call(INSPECT[kind], model=str(path))
    outputs = tuple(TensorSpec(**spec) for spec in found["outputs"])
    if {spec.name for spec in outputs} != set(output_names):
        if len(outputs) != 1 or len(output_names) != 1:
            names = ", ".join(spec.name for spec in outputs)
            raise NotConvertible(
                f"the outputs became {names}; the source has {', '.join(output_names)}", "Name the model's outputs."
            )
        outputs = (outputs[0].model_copy(update={"name": output_names[0]}),)
    return ModelFile(
        path=path,
        format=kind,
        inputs=tuple(TensorSpec(**spec) for spec in found["inputs"]),
        outputs=outputs,
        operators=tuple(found["operators"]),
        float_operators=tuple(found["float_operators"]),
        per_axis=found["per_axis"],
        nodes=found["nodes"],
        weights={kind: tuple(sizes) for kind, sizes in found["weights"].items()},
        activations=tuple(found["activations"]),
        zeros=found["zeros"],
    )


def stored_inputs(file: ModelFile, real: Array, name: str) -> Path:
    """Real inputs as the file stores them, saved beside it."""
    path = file.path.with_name(f"{file.path.stem}-{name}.npy")
    np.save(path, to_stored(file.inputs[0], real))
    return path


def run(file: ModelFile, task: Task, inputs: Path, worker: Worker, **arguments: Any) -> tuple[dict[str, Array], Answer]:
    """Real outputs by name for the samples of `inputs`, and what else the engine said; no outputs if it did not run."""
    outputs = inputs.with_name(f"{inputs.stem}-{task}.npz")
    answer = worker.call(task, model=str(file.path), inputs=str(inputs), outputs=str(outputs), **arguments)
    if not outputs.exists():
        return {}, answer
    with np.load(outputs) as arrays:
        return {spec.name: to_real(spec, arrays[f"output_{i}"]) for i, spec in enumerate(file.outputs)}, answer
