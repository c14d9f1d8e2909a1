"""ONNX Runtime with the provider of an accelerator: answers and what ran where, or why it is not on this machine."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any, Final

import onnxruntime as ort

from edge_converters.backends.arrays import run_all

BUILT_IN: Final = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
"""Providers that are part of the library in its GPU build."""
OPENVINO: Final = "OpenVINOExecutionProvider"
CONVERSIONS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Operators that an accelerator fuses into its own."""


def run(model: str, inputs: str, outputs: str, accelerator: str) -> dict[str, Any]:
    """Answer the samples of `inputs` on `accelerator`, or say in `missing` why it is not here.

    `partitions` is the number of pieces the provider took, `taken` their operators; `on_cpu` counts those left over.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    provider = BUILT_IN.get(accelerator, OPENVINO)
    missing = _add_npu(options) if provider == OPENVINO else _missing_build(provider)
    if missing:
        return {"missing": missing}
    given = {} if provider == OPENVINO else {"providers": [provider, "CPUExecutionProvider"]}
    session = ort.InferenceSession(model, options, **given)
    if provider not in session.get_providers():
        return {"missing": f"{provider} does not start: its libraries or its device are not here"}
    return {**answer(session, inputs, outputs), **assignment(session, provider)}


def answer(session: Any, inputs: str, outputs: str) -> dict[str, Any]:
    """The session's answers to every sample, in `outputs`."""
    (entry,) = (node.name for node in session.get_inputs())
    return run_all(lambda sample: session.run(None, {entry: sample}), inputs, outputs)


def assignment(session: Any, provider: str) -> dict[str, Any]:
    """Which operators `provider` took, by ONNX Runtime's own record."""
    taken, partitions, left = 0, 0, Counter[str]()
    for part in session.get_provider_graph_assignment_info():
        operators = [node.op_type for node in part.get_nodes() if node.op_type not in CONVERSIONS]
        if part.ep_name == provider:
            taken, partitions = taken + len(operators), partitions + 1
        else:
            left.update(operators)
    return {"taken": taken, "partitions": partitions, "on_cpu": dict(left)}


def _missing_build(provider: str) -> str | None:
    if provider in ort.get_available_providers():
        return None
    return f"ONNX Runtime is not built with {provider} here (onnxruntime-gpu is)"


def _add_npu(options: Any) -> str | None:
    """Ask for the NPU in `options`; else why there is none."""
    try:
        devices = _npus()
    except ImportError:
        return "the library onnxruntime-ep-openvino is not installed here"
    except RuntimeError as error:
        return f"the OpenVINO provider does not load: {error}"
    if not devices:
        return "the OpenVINO provider finds no NPU here"
    options.add_provider_for_devices(devices, {})
    return None


@cache
def _npus() -> list[Any]:
    import onnxruntime_ep_openvino

    ort.register_execution_provider_library(OPENVINO, onnxruntime_ep_openvino.get_library_path())
    devices = [device for device in ort.get_ep_devices() if device.ep_name == OPENVINO]
    return [device for device in devices if device.device.type == ort.OrtHardwareDeviceType.NPU]
