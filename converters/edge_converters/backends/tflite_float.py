"""The float TFLite file of a canonical SavedModel, by TensorFlow's converter: what passes edit, variants start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from edge_converters.errors import NotConvertible


def convert(saved_model: str, output: str) -> dict[str, Any]:
    """Write the float file. Only builtin operators: what needs TensorFlow's own kernels is refused with their names."""
    try:
        content = tf.lite.TFLiteConverter.from_saved_model(saved_model).convert()
    except Exception as error:  # told apart by its words, for its class is private; any other goes on
        if "not supported by the native TFLite runtime" in str(error) or "needs flex" in str(error).lower():
            words = " ".join(str(error).split())[-300:]
            hint = "Replace these operators in the model; the targets' runtimes have no kernel for them."
            raise NotConvertible(f"TFLite has no builtin operator for part of the model: {words}", hint) from error
        raise
    Path(output).write_bytes(content)
    return {}
