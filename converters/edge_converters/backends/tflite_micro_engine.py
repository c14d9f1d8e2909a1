"""TFLite Micro's own kernels: a microcontroller's variant runs here, in a process that they may abort."""

from __future__ import annotations

import os
import re
from typing import Any

from tflite_micro.python.tflite_micro import runtime

from edge_converters.backends.arrays import Array, run_all
from edge_converters.backends.printed import with_words
from edge_converters.errors import CheckFailed

PROBE_BYTES = 64 * 1024 * 1024
"""Large enough to learn what a model needs before it is run in the board's arena."""
ALIGNMENT = 16
"""Arenas are tried in steps of this many bytes."""


def run(model: str, inputs: str, outputs: str, arena: int, output_count: int) -> dict[str, Any]:
    """Answer the samples of `inputs` within `arena` bytes; with the fields of `measure_arena`."""
    needed = measure_arena(model)
    if needed["arena_bytes"] > arena:
        raise CheckFailed(
            f"the model needs {needed['arena_bytes']} bytes of arena, the profile grants {arena}",
            "Make the model smaller, or raise memory.arena in a profile of your own.",
        )
    interpreter = _loaded(model, arena)

    def infer(sample: Array) -> list[Array]:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        return [interpreter.get_output(index) for index in range(output_count)]

    return {**run_all(infer, inputs, outputs), **needed}


def measure_arena(model: str) -> dict[str, int]:
    """`arena_bytes`: the smallest arena that the model loads in, in steps of 16 bytes.

    `head_bytes` are its activations and scratch, `tail_bytes` what persists. The two together may not do: while the
    head is planned, its place holds the planner's tables, and of a small model these are larger.
    """
    _, words = with_words(_loaded(model, PROBE_BYTES).print_allocations)
    head, tail = (_allocation(part, words) for part in ("head", "tail"))
    low = -(-(head + tail) // ALIGNMENT)
    if _loads(model, low * ALIGNMENT):
        return {"arena_bytes": low * ALIGNMENT, "head_bytes": head, "tail_bytes": tail}
    high = low * 2
    while not _loads(model, high * ALIGNMENT):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _loads(model, middle * ALIGNMENT) else (middle, high)
    return {"arena_bytes": high * ALIGNMENT, "head_bytes": head, "tail_bytes": tail}


def _allocation(part: str, words: str) -> int:
    found = re.search(rf"Arena allocation {part} (\d+) bytes", words)
    if found is None:
        raise CheckFailed("TFLite Micro does not say what the model needs", "Compare the version of tflite-micro.")
    return int(found[1])


def _loads(model: str, arena: int) -> bool:
    """Whether the model loads in so small an arena, tried in a child: with too little, some kernels end the process."""
    child = os.fork()
    if child == 0:
        try:
            _loaded(model, arena)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _loaded(model: str, arena: int) -> Any:
    interpreter, words = with_words(lambda: runtime.Interpreter.from_file(model, arena_size=arena))
    if isinstance(interpreter, RuntimeError):
        reason = " / ".join(line.strip() for line in words.splitlines() if line.strip())[-300:] or str(interpreter)
        raise CheckFailed(
            f"TFLite Micro does not take the model: {reason}", "Use operators that it has kernels for."
        ) from interpreter
    return interpreter
