"""Integer TFLite files from a float one by TensorFlow's calibrator and quantiser, with ranges and layers to keep float.

The quantisers have no public call that starts from a TFLite file; these are the ones that TFLiteConverter itself uses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors

from edge_converters.backends import tflite_files

Ranges = Mapping[str, Sequence[float]]
"""Lowest and highest value of activation tensors, by name."""
Samples = npt.NDArray[np.float32]


def to_int8(content: bytes, samples: Samples, ranges: Ranges, keep: Collection[str]) -> bytes:
    """int8 everywhere, inputs and outputs too, weights by channel.

    `ranges` take the place of what calibration saw; the layers of `keep` (names of their first outputs) stay float.
    """
    calibrated = _with_ranges(_calibrated(content, samples), ranges)
    result: bytes = mlir_quantize(
        calibrated, input_data_type=tf.int8, output_data_type=tf.int8, denylisted_nodes=set(keep) or None
    )
    return result


def to_int16x8(content: bytes, samples: Samples) -> bytes:
    """Symmetric int16 activations, inputs and outputs too, int8 weights by channel, int64 biases."""
    calibrator = Calibrator(add_intermediate_tensors(content))
    result: bytes = calibrator.calibrate_and_quantize(
        lambda: ([row[None]] for row in samples),
        input_type=tf.int16,
        output_type=tf.int16,
        allow_float=False,
        activations_type=tf.int16,
        bias_type=tf.int64,
    )
    return result


def _calibrated(content: bytes, samples: Samples) -> bytes:
    """The float file with each activation's lowest and highest value among the samples."""
    result: bytes = Calibrator(add_intermediate_tensors(content)).calibrate(lambda: ([row[None]] for row in samples))
    return result


def _with_ranges(content: bytes, ranges: Ranges) -> bytes:
    if not ranges:
        return content
    model = tflite_files.unpack(content)
    for tensor in model.subgraphs[0].tensors:
        name = (tensor.name or b"").decode()
        if name in ranges:
            low, high = ranges[name]
            tensor.quantization.min = np.array([low], np.float32)
            tensor.quantization.max = np.array([high], np.float32)
    return tflite_files.pack(model)
