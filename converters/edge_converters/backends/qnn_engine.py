"""ONNX Runtime with Qualcomm's QNN provider: the Hexagon tensor processor, or on x86-64 its simulator."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime as ort
import onnxruntime_qnn

from edge_converters.backends.arrays import Infer, run_all, time_block
from edge_converters.errors import CheckFailed

PROVIDER = "QNN"


def run(model: str, inputs: str, outputs: str, threads: int) -> dict[str, Any]:
    """Answer the samples of `inputs`, and say what ran where.

    `partitions` is the number of pieces the provider took; `on_cpu` counts the operators that were left to the CPU.
    """
    del threads
    with tempfile.TemporaryDirectory() as folder:
        session = _open(model, f"{folder}/profile")
        answer = run_all(_infer(session), inputs, outputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    ran = {
        (event["args"]["provider"], event["name"], event["args"]["op_name"]) for event in events if _is_kernel(event)
    }
    on_cpu = Counter(operator for provider, _, operator in ran if provider != PROVIDER)
    return {**answer, "partitions": sum(provider == PROVIDER for provider, *_ in ran), "on_cpu": dict(on_cpu)}


def measure(model: str, inputs: str, threads: int, seconds: float) -> dict[str, Any]:
    """One block of latencies; the session stays warm between blocks."""
    del threads
    return time_block(_warm(model), inputs, seconds)


@cache
def _warm(model: str) -> Infer:
    return _infer(_open(model, None))


@cache
def _devices() -> list[Any]:
    ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    return [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]


def _open(model: str, profile: str | None) -> Any:
    if not _devices():
        raise CheckFailed("the QNN provider finds no device", "It needs Linux on x86-64 or arm64 with glibc 2.35.")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    options.add_provider_for_devices(_devices()[:1], {"backend_type": "htp"})
    return ort.InferenceSession(model, options)


def _infer(session: Any) -> Infer:
    (entry,) = (node.name for node in session.get_inputs())
    return lambda sample: session.run(None, {entry: sample})


def _is_kernel(event: dict[str, Any]) -> bool:
    return event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
