"""ONNX Runtime on an NVIDIA GPU by the TensorRT provider, which compiles a model while it is loaded, for minutes."""

from __future__ import annotations

from typing import Final

from edge_agent.adapters.engines import ort_cuda
from edge_agent.adapters.engines.ort import OrtSession, measure, open_on, recording_options, try_on
from edge_agent.adapters.engines.session import Session
from edge_contracts.manifest import Accelerator, Variant

PROVIDER: Final = "TensorrtExecutionProvider"
_HALF: Final = "fp16"


def load(model: bytes, variant: Variant) -> Session:
    """The model on the GPU; what TensorRT does not take goes to CUDA, else to the CPU, and lowers the coverage."""
    # A file in half precision does not compile unless TensorRT may use it.
    settings = {"trt_fp16_enable": str(variant.scheme == _HALF)}
    session = open_on(model, recording_options(variant), (PROVIDER, settings), ort_cuda.PROVIDER)
    return OrtSession(session, variant, measure(session, PROVIDER, Accelerator.TENSORRT, "NVIDIA GPU"))


def probe() -> None:
    """Compile and load something."""
    try_on(PROVIDER)
