"""ONNX Runtime on Qualcomm's Hexagon tensor processor by the QNN plugin; on x86-64 its library simulates the NPU."""

from __future__ import annotations

import platform
from functools import cache
from typing import Any, Final

import onnxruntime as ort
import onnxruntime_qnn

from edge_agent.adapters.engines.ort import OrtSession, measure, recording_options
from edge_agent.adapters.engines.session import EngineMissing, Session
from edge_contracts.manifest import Accelerator, Variant

PROVIDER: Final = "QNNExecutionProvider"
_SIMULATES: Final = frozenset({"x86_64", "AMD64"})


def load(model: bytes, variant: Variant) -> Session:
    """The model on the Hexagon tensor processor; what it cannot take stays on the CPU and lowers the coverage."""
    devices, device = _devices()
    chosen = recording_options(variant)
    chosen.add_provider_for_devices(devices, {"backend_type": "htp"})
    session = ort.InferenceSession(model, chosen)
    return OrtSession(session, variant, measure(session, PROVIDER, Accelerator.QNN_HTP, device))


def probe() -> None:
    """Look for a tensor processor, or for the machine that simulates one."""
    _devices()


@cache
def _devices() -> tuple[list[Any], str]:
    try:
        ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
        devices = [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]
    except RuntimeError as error:
        raise EngineMissing(f"the QNN provider does not load: {error}") from error
    npus = [device for device in devices if device.device.type == ort.OrtHardwareDeviceType.NPU]
    if npus:
        return npus, "Hexagon"
    if devices and platform.machine() in _SIMULATES:
        return devices[:1], "Hexagon simulator"
    raise EngineMissing("the QNN provider finds no Hexagon tensor processor")
