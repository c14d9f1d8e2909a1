"""LiteRT on the CPU (XNNPACK): the engine of TFLite variants."""

from __future__ import annotations

from functools import cache
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from edge_converters.backends.arrays import Array, Infer, pin, run_all, time_block


def run(model: str, inputs: str, outputs: str, threads: int) -> dict[str, Any]:
    """Answer the samples of `inputs` (stored values)."""
    return run_all(_session(model, threads), inputs, outputs)


def measure(model: str, inputs: str, threads: int, seconds: float) -> dict[str, Any]:
    """One block of latencies; the session stays warm between blocks."""
    pin(threads)
    return time_block(_warm(model, threads), inputs, seconds)


@cache
def _warm(model: str, threads: int) -> Infer:
    return _session(model, threads)


def _session(model: str, threads: int) -> Infer:
    interpreter = Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    exits = interpreter.get_output_details()

    def infer(sample: Array) -> list[Array]:
        interpreter.set_tensor(entry["index"], sample)
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in exits]

    return infer
