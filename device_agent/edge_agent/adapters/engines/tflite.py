"""What the two libraries with TensorFlow Lite's `Interpreter` share: running a model on the CPU. Imports neither."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_agent.adapters.engines.session import Found, Loaded, order
from edge_agent.core.tensors import Array
from edge_contracts.manifest import Accelerator, Variant


class InterpreterSession:
    """A model in a TensorFlow Lite interpreter, on the CPU."""

    def __init__(self, interpreter: Any, variant: Variant) -> None:
        self.loaded = Loaded(Accelerator.CPU)
        self._interpreter = interpreter
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        found_in, found_out = _found(interpreter, inputs, "input"), _found(interpreter, outputs, "output")
        self._inputs = [inputs[i]["index"] for i in order(variant.inputs, found_in, "input")]
        self._outputs = [outputs[i]["index"] for i in order(variant.outputs, found_out, "output")]
        interpreter.allocate_tensors()
        self._shapes = [tuple(inputs[i]["shape"]) for i in order(variant.inputs, found_in, "input")]

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for inputs, both in the order of the variant; a new batch size lays the tensors out anew."""
        shapes = [array.shape for array in inputs]
        if shapes != self._shapes:
            for index, shape in zip(self._inputs, shapes, strict=True):
                self._interpreter.resize_tensor_input(index, shape, strict=True)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for index, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def memory_bytes(self) -> None:
        """The process is the measure."""


def _found(interpreter: Any, details: list[dict[str, Any]], side: str) -> list[Found]:
    """The tensors in the order of `details`, called by their signature's names where the file has a signature."""
    names: dict[int, str] = {}
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner()
        named = runner.get_input_details() if side == "input" else runner.get_output_details()
        names = {tensor["index"]: name for name, tensor in named.items()}
    return [
        Found(
            names.get(tensor["index"], str(tensor["name"])),
            np.dtype(tensor["dtype"]),
            tuple(int(n) for n in tensor.get("shape_signature", tensor["shape"])),
        )
        for tensor in details
    ]
