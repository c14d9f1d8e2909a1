"""ONNX Runtime on an NVIDIA GPU by the CUDA provider, which is part of the library's GPU build."""

from __future__ import annotations

from typing import Final

from edge_agent.adapters.engines.ort import OrtSession, measure, open_on, recording_options, try_on
from edge_agent.adapters.engines.session import Session
from edge_contracts.manifest import Accelerator, Variant

PROVIDER: Final = "CUDAExecutionProvider"


def load(model: bytes, variant: Variant) -> Session:
    """The model on the GPU; what CUDA has no kernel for stays on the CPU and lowers the coverage."""
    session = open_on(model, recording_options(variant), PROVIDER)
    return OrtSession(session, variant, measure(session, PROVIDER, Accelerator.CUDA, "NVIDIA GPU"))


def probe() -> None:
    """Run something on the GPU."""
    try_on(PROVIDER)
