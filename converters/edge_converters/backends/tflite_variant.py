"""TFLite files from a canonical SavedModel by TensorFlow's converter, one function per numeric scheme."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edge_converters.errors import NotConvertible


def make(saved_model: str, scheme: str, calibration: str, output: str) -> dict[str, Any]:
    """Write the variant to `output`. `calibration` is an .npy of float inputs, used where ranges are needed.

    Only builtin operators: what needs TensorFlow's own kernels is refused with their names.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    _SCHEMES[scheme](converter, calibration)
    try:
        content = converter.convert()
    except Exception as error:
        if "not supported by the native TFLite runtime" in str(error) or "needs flex" in str(error).lower():
            words = " ".join(str(error).split())[-300:]
            hint = "Replace these operators in the model; the targets' runtimes have no kernel for them."
            raise NotConvertible(f"TFLite has no builtin operator for part of the model: {words}", hint) from error
        raise
    Path(output).write_bytes(content)
    return {}


def _fp32(converter: Any, calibration: str) -> None:
    del converter, calibration


def _fp16(converter: Any, calibration: str) -> None:
    del calibration
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any, calibration: str) -> None:
    del calibration
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: Any, calibration: str) -> None:
    samples = np.load(calibration)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8


_SCHEMES: dict[str, Callable[[Any, str], None]] = {
    "fp32": _fp32,
    "fp16": _fp16,
    "dynamic": _dynamic,
    "int8": _int8,
}
