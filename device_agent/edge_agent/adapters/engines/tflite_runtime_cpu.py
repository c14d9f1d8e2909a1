"""TensorFlow Lite's old runtime on the CPU, for boards for which LiteRT has no wheel (32-bit Arm)."""

from __future__ import annotations

import numpy as np
from tflite_runtime.interpreter import Interpreter

from edge_agent.adapters.engines.session import EngineMissing, Session
from edge_agent.adapters.engines.tflite import InterpreterSession
from edge_contracts.manifest import Variant


def load(model: bytes, variant: Variant) -> Session:
    """The model in the old interpreter."""
    probe()
    return InterpreterSession(Interpreter(model_content=model, num_threads=variant.needs.threads), variant)


def probe() -> None:
    """Built against NumPy 1, it imports beside NumPy 2 and then fails at every model: say so at once."""
    if int(np.__version__.partition(".")[0]) >= 2:
        raise EngineMissing("tflite-runtime needs NumPy 1", "pip install 'numpy<2'")
