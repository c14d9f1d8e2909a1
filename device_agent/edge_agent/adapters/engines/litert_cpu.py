"""LiteRT on the CPU (XNNPACK)."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter

from edge_agent.adapters.engines.session import Session
from edge_agent.adapters.engines.tflite import InterpreterSession
from edge_contracts.manifest import Variant


def load(model: bytes, variant: Variant) -> Session:
    """The model in LiteRT's interpreter."""
    return InterpreterSession(Interpreter(model_content=model, num_threads=variant.needs.threads), variant)


def probe() -> None:
    """Always works once the library is imported."""
