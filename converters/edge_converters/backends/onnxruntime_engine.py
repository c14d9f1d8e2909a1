"""ONNX Runtime on the CPU: the engine of ONNX variants, and of ONNX sources."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime as ort

from edge_converters.backends.arrays import Array, Infer, pin, run_all, save_arrays, time_block


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


def run_source(source: str, kind: str, inputs: dict[str, str], answers: str) -> dict[str, Any]:
    """The source's own answers to each array of `inputs` (name -> .npy), as an .npz with `<array>/<output>`."""
    del kind
    session = _open(source, 1)
    infer, names = _infer(session), [output.name for output in session.get_outputs()]
    got: dict[str, Array] = {}
    for name, path in inputs.items():
        rows = [infer(sample[None]) for sample in np.load(path)]
        got |= {f"{name}/{key}": np.concatenate([row[i] for row in rows]) for i, key in enumerate(names)}
    save_arrays(answers, got)
    return {"outputs": names}


def _open(model: str, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _session(model: str, threads: int) -> Infer:
    return _infer(_open(model, threads))


def _infer(session: Any) -> Infer:
    (entry,) = (node.name for node in session.get_inputs())
    return lambda sample: session.run(None, {entry: sample})
