"""LiteRT on the GPU: its compiled-model API with the GPU accelerator (WebGPU over Vulkan)."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator

from edge_agent.adapters.engines.session import EngineMissing, Found, Loaded, Session, order
from edge_agent.adapters.engines.vulkan import choose_driver
from edge_agent.core.tensors import DTYPES, Array
from edge_contracts.manifest import Accelerator, Variant

_NO_ADAPTER = "the GPU accelerator finds no usable adapter"


class CompiledSession:
    """A model compiled for the GPU, with buffers made once."""

    def __init__(self, model: Any, variant: Variant, device: str) -> None:
        # LiteRT says whether everything was taken, not how much: anything less counts as nothing.
        coverage = 1.0 if model.is_fully_accelerated() else 0.0
        self.loaded = Loaded(Accelerator.GPU, device, coverage)
        self._model = model
        key, names = next(iter(model.get_signature_list().items()))
        found_in = [_found(model.get_input_tensor_details(key)[name], name) for name in names["inputs"]]
        found_out = [_found(model.get_output_tensor_details(key)[name], name) for name in names["outputs"]]
        self._input_order = order(variant.inputs, found_in, "input")
        self._output_order = order(variant.outputs, found_out, "output")
        self._shapes = [found_in[i].shape for i in self._input_order]
        self._inputs, self._outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        self._reads = [
            (self._outputs[i], found_out[i].shape, DTYPES[spec.datatype].type)
            for i, spec in zip(self._output_order, variant.outputs, strict=True)
        ]

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for inputs; reading them waits until the GPU has finished."""
        for index, shape, array in zip(self._input_order, self._shapes, inputs, strict=True):
            if array.shape != shape:
                raise ValueError(f"compiled for shape {list(shape)}, got {list(array.shape)}")
            self._inputs[index].write(array)
        self._model.run_by_index(0, self._inputs, self._outputs)
        return [
            np.asarray(buffer.read(int(np.prod(shape)), dtype)).reshape(shape) for buffer, shape, dtype in self._reads
        ]

    def memory_bytes(self) -> None:
        """The process is the measure."""


def load(model: bytes, variant: Variant) -> Session:
    """The model on the GPU."""
    device = choose_driver()
    try:
        compiled = CompiledModel.from_buffer(model, HardwareAccelerator.GPU)
    except RuntimeError as error:
        _compile_probe()  # tells a missing adapter from a model it refuses
        raise ValueError(f"the GPU accelerator does not compile the model: {error}") from error
    return CompiledSession(compiled, variant, device)


def probe() -> None:
    """Compile a model of one addition: only that shows whether the accelerator accepts the adapter."""
    choose_driver()
    _compile_probe()


def _compile_probe() -> None:
    addition = resources.files(__package__).joinpath("addition.tflite").read_bytes()
    try:
        CompiledModel.from_buffer(addition, HardwareAccelerator.GPU)
    except RuntimeError as error:
        raise EngineMissing(_NO_ADAPTER) from error


def _found(details: dict[str, Any], name: str) -> Found:
    return Found(name, np.dtype(details["dtype"]), tuple(int(n) for n in details["shape"]))
