"""ONNX Runtime on the CPU."""

from __future__ import annotations

import onnxruntime as ort

from edge_agent.adapters.engines.ort import OrtSession, options
from edge_agent.adapters.engines.session import Loaded, Session
from edge_contracts.manifest import Accelerator, Variant


def load(model: bytes, variant: Variant) -> Session:
    """The model on ONNX Runtime's CPU provider."""
    session = ort.InferenceSession(model, options(variant), providers=["CPUExecutionProvider"])
    return OrtSession(session, variant, Loaded(Accelerator.CPU))


def probe() -> None:
    """Always works once the library is imported."""
