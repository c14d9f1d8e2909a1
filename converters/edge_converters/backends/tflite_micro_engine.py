"""TFLite Micro's own kernels: a microcontroller's variant runs here, in a process that they may abort."""

from __future__ import annotations

import re
from typing import Any

from tflite_micro.python.tflite_micro import runtime

from edge_converters.backends.arrays import Array, run_all
from edge_converters.backends.printed import with_words
from edge_converters.errors import CheckFailed

PROBE_BYTES = 64 * 1024 * 1024
"""Large enough to learn what a model needs before it is run in the board's arena."""


def run(model: str, inputs: str, outputs: str, arena: int, output_count: int) -> dict[str, Any]:
    """Answer the samples of `inputs` within `arena` bytes; `arena_bytes` is what the model's plan takes."""
    needed = _needed(model)
    if needed > arena:
        raise CheckFailed(
            f"the model needs {needed} bytes of arena, the profile grants {arena}",
            "Make the model smaller, or raise memory.arena in a profile of your own.",
        )
    interpreter = _loaded(model, arena)

    def infer(sample: Array) -> list[Array]:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        return [interpreter.get_output(index) for index in range(output_count)]

    return {**run_all(infer, inputs, outputs), "arena_bytes": needed}


def _needed(model: str) -> int:
    interpreter = _loaded(model, PROBE_BYTES)
    _, words = with_words(interpreter.print_allocations)
    total = re.search(r"Arena allocation total (\d+) bytes", words)
    if total is None:
        raise CheckFailed("TFLite Micro does not say what the model needs", "Compare the version of tflite-micro.")
    return int(total[1])


def _loaded(model: str, arena: int) -> Any:
    interpreter, words = with_words(lambda: runtime.Interpreter.from_file(model, arena_size=arena))
    if isinstance(interpreter, RuntimeError):
        reason = " / ".join(line.strip() for line in words.splitlines() if line.strip())[-300:] or str(interpreter)
        raise CheckFailed(
            f"TFLite Micro does not take the model: {reason}", "Use operators that it has kernels for."
        ) from interpreter
    return interpreter
