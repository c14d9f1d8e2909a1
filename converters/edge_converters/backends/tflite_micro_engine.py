"""TFLite Micro's own kernels: a microcontroller's variant runs here, in a process that they may abort."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

from tflite_micro.python.tflite_micro import runtime

from edge_converters.backends.arrays import Array, run_all
from edge_converters.errors import CheckFailed

PROBE_BYTES = 64 * 1024 * 1024
"""Large enough to learn what a model needs before it is run in the board's arena."""


def run(model: str, inputs: str, outputs: str, arena: int) -> dict[str, Any]:
    """Answer the samples of `inputs` within `arena` bytes; `arena_bytes` is what the model's plan takes."""
    needed = _needed(model)
    if needed > arena:
        raise CheckFailed(
            f"the model needs {needed} bytes of arena, the profile grants {arena}",
            "Make the model smaller, or raise memory.arena in a profile of your own.",
        )
    interpreter = runtime.Interpreter.from_file(model, arena_size=arena)
    count = 0
    while True:
        try:
            interpreter.get_output_details(count)
        except (IndexError, ValueError, RuntimeError):
            break
        count += 1

    def infer(sample: Array) -> list[Array]:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        return [interpreter.get_output(index) for index in range(count)]

    return {**run_all(infer, inputs, outputs), "arena_bytes": needed}


def _needed(model: str) -> int:
    interpreter = runtime.Interpreter.from_file(model, arena_size=PROBE_BYTES)
    with tempfile.TemporaryFile() as printed:
        kept = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            interpreter.print_allocations()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        printed.seek(0)
        total = re.search(rb"Arena allocation total (\d+) bytes", printed.read())
    if total is None:
        raise CheckFailed("TFLite Micro does not say what the model needs", "Compare the version of tflite-micro.")
    return int(total[1])
