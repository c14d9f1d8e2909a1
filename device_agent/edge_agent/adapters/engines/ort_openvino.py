"""ONNX Runtime on the NPU of an Intel processor by the OpenVINO plugin."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import onnxruntime as ort
import onnxruntime_ep_openvino

from edge_agent.adapters.engines.ort import OrtSession, measure, recording_options
from edge_agent.adapters.engines.session import EngineMissing, Session
from edge_contracts.manifest import Accelerator, Variant

PROVIDER: Final = "OpenVINOExecutionProvider"


def load(model: bytes, variant: Variant) -> Session:
    """The model on the NPU; what it cannot take stays on the CPU and lowers the coverage."""
    npus, chosen = _npus(), recording_options(variant)
    chosen.add_provider_for_devices(npus, {})
    session = ort.InferenceSession(model, chosen)
    return OrtSession(session, variant, measure(session, PROVIDER, Accelerator.OPENVINO_NPU, "Intel NPU"))


def probe() -> None:
    """Look for an NPU that its driver shows."""
    _npus()


@cache
def _npus() -> list[Any]:
    try:
        ort.register_execution_provider_library(PROVIDER, onnxruntime_ep_openvino.get_library_path())
        devices = [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]
    except RuntimeError as error:
        raise EngineMissing(f"the OpenVINO provider does not load: {error}") from error
    npus = [device for device in devices if device.device.type == ort.OrtHardwareDeviceType.NPU]
    if not npus:
        raise EngineMissing("the OpenVINO provider finds no NPU", "Install Intel's driver for it (linux-npu-driver).")
    return npus
