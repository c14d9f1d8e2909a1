"""TensorFlow Lite Micro: the kernels of a microcontroller in the arena its board grants. It may abort the process."""

from __future__ import annotations

import os
import re
from typing import Any, Final

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from edge_agent.adapters.engines.session import Found, Loaded, Session, order
from edge_agent.core.tensors import Array
from edge_contracts.manifest import Accelerator, Variant

_TOTAL: Final = re.compile(rb"Arena allocation total (\d+) bytes")
_ROOM: Final = 16
"""A model that loads in so many times the arena is refused for its size, not for its operators."""
_STDERR: Final = 2


class MicroSession:
    """A model in TensorFlow Lite Micro, its arena limited to what the board grants."""

    def __init__(self, interpreter: Any, variant: Variant, arena: int) -> None:
        self.loaded = Loaded(Accelerator.MCU, f"arena of {arena} bytes")
        self._interpreter = interpreter
        inputs = [_found(interpreter.get_input_details(i), i) for i in range(len(variant.inputs))]
        outputs = [_found(interpreter.get_output_details(i), i) for i in range(len(variant.outputs))]
        self._inputs = order(variant.inputs, inputs, "input")
        self._outputs = order(variant.outputs, outputs, "output")

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for inputs, both in the order of the variant."""
        for index, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_input(array, index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(index)) for index in self._outputs]

    def memory_bytes(self) -> int | None:
        """Bytes of the arena in use."""
        match = _TOTAL.search(_printed(self._interpreter.print_allocations))
        return int(match[1]) if match else None


def load(model: bytes, variant: Variant) -> Session:
    """The model in an arena of `needs.arena_bytes`.

    Raises:
        MemoryError: it would load in a larger arena.
    """
    arena = variant.needs.arena_bytes or variant.limits.memory_bytes
    if not arena:
        raise ValueError("the variant does not say how large the board's arena is")
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
    except RuntimeError:
        runtime.Interpreter.from_bytes(model, arena_size=arena * _ROOM)
        raise MemoryError(f"the model does not fit into the arena of {arena} bytes") from None
    return MicroSession(interpreter, variant, arena)


def probe() -> None:
    """Always works once the library is imported."""


def _found(details: dict[str, Any], index: int) -> Found:
    # The file's names are not told; the order is the file's own.
    return Found(f"#{index}", np.dtype(details["dtype"]), tuple(int(n) for n in details["shape"]))


def _printed(call: Any) -> bytes:
    """What a native function writes to standard error."""
    reader, writer = os.pipe()
    kept = os.dup(_STDERR)
    try:
        os.dup2(writer, _STDERR)
        call()
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()
